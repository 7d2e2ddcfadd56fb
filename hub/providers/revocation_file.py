"""The file in which MQTT brokers read which certificates they must not accept."""

import fcntl
import os
from pathlib import Path

from cryptography import x509


def replace(path: Path, content: bytes, number: int) -> bool:
    """Replace the list in one step, unless the one there is newer; return whether it was replaced.

    Two workers may come at once, the one with the older list last. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if number < _number(path):
            return False
        fresh = path.with_name(f"{path.name}.new")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o644)  # nothing in it is secret, and the broker runs as somebody else
        fresh.replace(path)
    return True


def _number(path: Path) -> int:
    try:
        known = x509.load_pem_x509_crl(path.read_bytes())
        return known.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return -1  # none, or none of ours
