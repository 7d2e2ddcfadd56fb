"""`pinghub ring`: run virtual rings, press them, read their NFC tags, set real tags up."""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Group, Parameter

from core import config, log
from core.edge import TapKind
from core.errors import ConfigError, DomainError
from firmware_bridge import tag_commands
from firmware_bridge.durations import parse_duration

_TIMEOUT_SECONDS: Final = 5.0

app = App(
    name="ring",
    help="Virtual rings, tags and links.",
    group_commands=Group("Commands"),
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub ring list`  the rings that `pinghub up` runs\n\n"
        "- `pinghub ring press 0102030405060708`  tap one of them\n\n"
        "- `pinghub ring touch 0102030405060708 1112131415161718`  let two of them touch\n\n"
        "- `pinghub ring link 0102030405060708`  hold a phone to it: a fresh link, good once\n\n"
        "- `pinghub ring provision 04A1B2C3D4E5F6 --out tag.json`  how to set up a real tag\n\n"
        "- `pinghub ring doctor 'https://…/t?picc_data=…&cmac=…'`  what is wrong with its link\n\n"
        "- `pinghub ring emulate --ble usb:0`  a ring for a phone app, on a Bluetooth dongle"
    ),
    help_format="markdown",
)

app.command(tag_commands.doctor)
app.command(tag_commands.provision)
app.command(tag_commands.emulate)

Control = Annotated[
    str, Parameter(help="HOST:PORT of the rings; default: development.rings_address.")
]


@app.command
def simulate(
    *,
    rings: Path,
    home: Path,
    control: str = "127.0.0.1:0",
    hci: tuple[str, ...] = ("127.0.0.1:0",),
    every: str = "",
    advertise: str = "100ms",
    encrypted: Annotated[bool, Parameter(negative="")] = False,
    reader: Path | None = None,
) -> None:
    """Run virtual rings until SIGTERM: gateways attach over HCI, tools over the control port.

    Args:
        rings: File with the rings, as `pinghub edge add-rings` writes it.
        home: Folder of the rings' durable memories.
        control: HOST:PORT of the control port (JSON lines, no password: keep it on loopback).
        hci: HOST:PORT where a gateway finds its controller (`bumble:tcp-client:HOST:PORT`); once
            for each gateway in reach of the rings.
        every: Tap one ring after the other at this interval, as `4s` or `500ms`.
        advertise: How often a ring without a link advertises itself.
        encrypted: Demand pairing, as real rings do.
        reader: Socket of a virtual NFC reader, for a gateway with `gateway.readers` of
            `virtual:SOCKET`.
    """
    settings = config.load()
    log.configure(settings.log.level, settings.log.style)
    every_seconds = parse_duration(every) if every else None
    control_address, hci_addresses = parse_address(control), [parse_address(item) for item in hci]
    try:
        from firmware_bridge.virtual import simulation  # noqa: PLC0415  # needs the extra `edge`
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing: run `make install`") from None
    entries = simulation.read_rings(rings)
    asyncio.run(
        simulation.run(
            entries,
            home,
            hci=hci_addresses,
            control=control_address,
            every_seconds=every_seconds,
            advertise_seconds=parse_duration(advertise),
            encrypted=encrypted,
            reader=reader,
        )
    )


@app.command
def press(device_id: str, /, *, kind: TapKind = "tap_to_phone", control: Control = "") -> None:
    """Tap a virtual ring and print its boot and seq."""
    answer = ask(control, {"press": device_id, "kind": kind})
    print(f"boot {answer['boot']} seq {answer['seq']}")  # noqa: T201  # the result


@app.command
def touch(device_id: str, peer: str, /, *, control: Control = "") -> None:
    """Let two virtual rings touch and print the first one's boot and seq."""
    answer = ask(control, {"touch": device_id, "peer": peer})
    print(f"boot {answer['boot']} seq {answer['seq']}")  # noqa: T201  # the result


@app.command
def link(device_id: str, /, *, base: str = "", control: Control = "") -> None:
    """Read the ring's NFC tag: print a fresh SUN link, good for one use."""
    base = base or config.load().server.public_url.rstrip("/") + "/t"
    print(ask(control, {"link": device_id, "base": base})["link"])  # noqa: T201  # the result


@app.command
def hold(device_id: str, /, *, base: str = "", control: Control = "") -> None:
    """Hold the ring's NFC tag up to the virtual reader of a gateway: print the tag's counter."""
    base = base or config.load().server.public_url.rstrip("/") + "/t"
    answer = ask(control, {"hold": device_id, "base": base})
    print(f"counter {answer['seq']}")  # noqa: T201  # the result


@app.command(name="list")
def list_rings(*, control: Control = "") -> None:
    """Print one line per virtual ring."""
    for ring in ask(control, {"list": True})["rings"]:
        state = "connected" if ring["connected"] else "alone"
        counts = f"boot {ring['boot']}, seq {ring['last_seq']}, {ring['pending']} waiting"
        print(f"{ring['device_id']}  {ring['name']:<16} {state}, {counts}")  # noqa: T201  # the result


@app.command
def reboot(device_id: str, /, *, control: Control = "") -> None:
    """Switch a virtual ring off and on again."""
    print(f"boot {ask(control, {'reboot': device_id})['boot']}")  # noqa: T201  # the result


def ask(control: str, request: dict[str, object]) -> dict[str, Any]:
    """Send one request to the rings' control port and return its answer; raises DomainError."""
    address = control or config.require(
        config.load().development.rings_address, "development.rings_address"
    )
    try:
        with socket.create_connection(parse_address(address), _TIMEOUT_SECONDS) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
    except (OSError, ValueError) as error:
        detail = f"no virtual rings at {address}: {error}"
        raise DomainError("service.unavailable", detail) from None
    if not answer.get("ok"):
        problem = answer.get("error") or "no answer"
        if problem == "unknown ring":
            detail = "no virtual ring has that id: `pinghub ring list` names them"
            raise DomainError("ring.not_found", detail)
        raise DomainError("request.conflict", f"the rings refused: {problem}")
    return answer


def parse_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT, or raise ConfigError."""
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004  # ports
        raise ConfigError(f"{text!r} is no address: write HOST:PORT, as 127.0.0.1:9544")
    return host.strip("[]"), int(port)


def main() -> None:
    """Run the commands by themselves, without the hub's command line."""
    try:
        app()
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the one line a user reads
        sys.exit(2)
    except DomainError as error:
        print(f"{error.code}: {error.detail}", file=sys.stderr)  # noqa: T201  # same
        sys.exit(1)


if __name__ == "__main__":
    main()
