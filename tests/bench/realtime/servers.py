"""Who is measured: the floor, our hub and its peers, each started and spoken to as its docs say."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench.realtime.load import Plan

__all__ = ["Place", "Server"]


class Place(msgspec.Struct):
    """Where a server is started."""

    folder: Path
    port: int
    redis_port: int


class Server(NamedTuple):
    """One contestant. `plan` is asked for one channel for all (False) or one for each (True)."""

    name: str
    command: Callable[[Place], list[str]]
    plan: Callable[[Place, bool], Plan]
    missing: Callable[[], str]
    """Why it cannot run here; empty when it can."""
    token: Callable[[int, bool], str] = lambda _number, _personal: ""


def redis_publish(channel: str, data: bytes) -> bytes:
    """Return the bytes of a PUBLISH."""
    parts = [b"PUBLISH", channel.encode(), data]
    return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
