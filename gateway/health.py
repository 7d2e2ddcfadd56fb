"""What a gateway tells about itself: the health message, and the status file beside the spool."""

import os
import resource
from pathlib import Path
from typing import Final, Literal

import msgspec

from core import clock
from core.edge import Payload
from gateway.spool import Stats

HEALTH_SECONDS: Final = 60.0
STATUS_SECONDS: Final = 1.0
STATUS_STALE_MS: Final = 10_000


class RingHealth(Payload, frozen=True, kw_only=True, omit_defaults=False):
    """One ring in reach; `ring` is empty until it was identified."""

    ring: str
    state: str
    rssi: int | None = None
    reason: str = ""


class AdapterHealth(Payload, frozen=True, kw_only=True, omit_defaults=False):
    """One Bluetooth adapter."""

    adapter: str
    scanning: bool
    scan_age_ms: int | None = None
    """Milliseconds since anything was heard."""
    links: int = 0
    openings: int = 0
    restarts: int = 0
    """Scans that silence has restarted."""
    power_cycles: int = 0
    problem: str = ""


class ReaderHealth(Payload, frozen=True, kw_only=True, omit_defaults=False):
    """One NFC reader."""

    reader: str
    up: bool
    opens: int = 0
    reads: int = 0
    unread: int = 0
    """Tags that gave no address."""
    problems: dict[str, int]
    """What was wrong with these."""
    problem: str = ""


class Health(Payload, frozen=True, kw_only=True, omit_defaults=False):
    """A gateway about itself; figures and ids only."""

    gateway: str
    session: str
    pid: int
    t: int
    uptime_s: int
    rss_kib: int
    state: str
    mqtt_up: bool
    mqtt_connects: int
    mqtt_problem: str = ""
    adapters: tuple[AdapterHealth, ...] = ()
    readers: tuple[ReaderHealth, ...] = ()
    waiting: int = 0
    """Rings that wait for a place."""
    rings: tuple[RingHealth, ...] = ()
    spool: Stats
    window: int
    resends: int
    held: int
    delivery_alarm: str = ""
    malformed: int = 0
    acknowledged: int = 0
    identity: Literal["certificate", "login"] = "login"
    """What the hub knows this gateway by."""
    certificate_expires_ms: int | None = None
    certificate_problem: str = ""
    renewal: str = ""


def own_pid() -> int:
    """Return the id of this process."""
    return os.getpid()


def rss_kib() -> int:
    """Return the resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the peak, where no /proc is
    return pages * resource.getpagesize() // 1024


def write_status(path: Path, health: Health) -> None:
    """Replace the status file as a whole, so that a reader never sees half of one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(health))
    fresh.chmod(0o600)
    fresh.replace(path)


def read_status(path: Path) -> Health | None:
    """Return what the running gateway wrote last, or None when none runs."""
    try:
        health = msgspec.json.decode(path.read_bytes(), type=Health)
    except (OSError, msgspec.DecodeError):
        return None
    is_fresh = clock.unix_ms() - health.t < STATUS_STALE_MS
    return health if is_fresh and _is_alive(health.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
