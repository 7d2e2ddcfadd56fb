"""What systemd is told (Type=notify): one datagram each to $NOTIFY_SOCKET, see sd_notify(3)."""

import asyncio
import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell a state such as `READY=1`; without a supervisor, or when it is deaf, do nothing."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place  # @: an abstract socket
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), address)


async def keep_alive() -> None:
    """Prove for ever, from the event loop, that it is not stuck, if the supervisor asks."""
    interval_us = os.environ.get("WATCHDOG_USEC", "")
    if not interval_us.isdecimal() or os.environ.get("WATCHDOG_PID") not in (
        None,
        str(os.getpid()),
    ):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(interval_us) / 1_000_000 / 3)
