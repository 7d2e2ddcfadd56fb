"""The gateway's process: from the settings to an exit code."""

import asyncio
import signal
from contextlib import suppress
from typing import Final

from core import log, metrics
from core.config import Settings
from gateway import readers, recent_log
from gateway.access import access_of
from gateway.adapter import check_backends
from gateway.ble import RadioDeadError
from gateway.daemon import Gateway

EXIT_RADIO_DEAD: Final = 75
"""EX_TEMPFAIL: the supervisor is to start the gateway again."""

_log = log.get("gateway")


def run(settings: Settings) -> int:
    """Run the gateway until SIGTERM or SIGINT; return the exit code."""
    access_of(settings)
    check_backends(settings.gateway)
    readers.check(settings.gateway.readers)
    return asyncio.run(serve(settings))


async def serve(settings: Settings) -> int:
    """Do what `run` does, on a running event loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings, recent_log.record())
    try:
        metrics.serve(settings.metrics.port)
    except OSError as error:
        _log.warning("metrics_unavailable", reason=str(error))
    running = asyncio.create_task(gateway.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    running.cancel()
    code = 0
    try:
        with suppress(asyncio.CancelledError):
            await running
    except* RadioDeadError:
        code = EXIT_RADIO_DEAD
    finally:
        await gateway.close()
    _log.info("process_stopped", code=code)
    return code
