"""`pinghub gateway`: run the edge daemon, look at a running one, find out what is wrong."""

from cyclopts import App

app = App(name="gateway", help="The edge daemon beside the rings.")


@app.command
def run() -> None:
    """Carry taps from the rings in reach to the hub, until SIGTERM or Ctrl-C."""
    # Imported late: `status` must answer at once, without Bluetooth and MQTT libraries.
    from core import config, log  # noqa: PLC0415
    from gateway import daemon  # noqa: PLC0415

    settings = config.load()
    log.configure(settings.log.level, settings.log.style)
    daemon.run(settings)
