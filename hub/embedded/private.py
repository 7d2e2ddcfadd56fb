"""Files and folders that only their owner may read."""

import os
import secrets
from pathlib import Path

from core import durable


def owned_folder(path: Path) -> Path:
    """Create a folder that only its owner may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step, readable by its owner only; raises OSError."""
    durable.replace(path, content.encode())


def privately(path: str, flags: int) -> int:
    """Open a file as the opener of `open`: a new one is its owner's alone."""
    return os.open(path, flags, 0o600)


def kept_password(path: Path) -> str:
    """Return the password in a file; it is generated on first use."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text().strip()
