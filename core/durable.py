"""Files that are replaced whole: after a power cut, old or new."""

import os
from pathlib import Path
from typing import Final

OWNER_ONLY: Final = 0o600


def replace(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a file in one step that survives a power cut; raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)  # whatever the umask leaves
        os.fsync(file.fileno())
    fresh.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Let what was renamed or removed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
