"""Where a gateway keeps its files."""

from pathlib import Path

from core import config
from core.config import Settings


def spool_path(settings: Settings) -> Path:
    """Return where the spool is; the status file lies beside it."""
    chosen = settings.gateway.spool_path
    return Path(chosen) if chosen else config.home() / "gateway" / "spool.db"


def status_path(settings: Settings) -> Path:
    """Return where a running gateway writes its status."""
    return spool_path(settings).with_name("status.json")


def identity_path(settings: Settings) -> Path:
    """Return the folder of the gateway's key and certificate; there may be none."""
    chosen = settings.gateway.identity_path
    return Path(chosen) if chosen else config.home() / "gateway-identity"
