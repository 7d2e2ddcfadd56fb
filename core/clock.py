"""Time. Sans-I/O code takes the time as an argument; its shells ask here."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def unix_ms() -> int:
    """Return the milliseconds since the Unix epoch; jumps when the wall clock is set."""
    return time.time_ns() // 1_000_000


def unix_seconds() -> int:
    """Return the whole seconds since the Unix epoch; jumps when the wall clock is set."""
    return int(time.time())


def since_start_ms() -> int:
    """Return the milliseconds since the machine's start, its sleep included; nobody sets it."""
    source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former on Linux only
    return time.clock_gettime_ns(source) // 1_000_000


def monotonic_seconds() -> float:
    """Return seconds that never go back; only differences mean anything."""
    return time.monotonic()
