"""The file in which MQTT brokers read which certificates they must not accept."""

import fcntl
import stat
from pathlib import Path

from cryptography import x509

from core import durable


def replace(path: Path, content: bytes, number: int) -> bool:
    """Replace the list in one step, unless the one there is newer; return whether it was replaced.

    Two workers may come at once, the one with the older list last. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if number < _number(path):
            return False
        durable.replace(path, content, _mode(path))
    return True


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o644  # nothing in it is secret, and the broker runs as somebody else


def _number(path: Path) -> int:
    try:
        known = x509.load_pem_x509_crl(path.read_bytes())
        return known.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return -1  # none, or none of ours
