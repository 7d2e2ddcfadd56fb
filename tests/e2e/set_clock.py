"""A clock that is set while its process runs: `python -m tests.e2e.set_clock FILE COMMAND…`.

The process is the real one; only `core.clock` adds what FILE says, eight bytes that change at any
moment. So a jump meets every state of the program, and no other process of the machine.
"""

import mmap
import os
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core import clock
from tests.e2e import faults

_FORMAT = struct.Struct("<q")


class SettableClock:
    """The other end: sets what the process believes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(_FORMAT.pack(0))

    @property
    def error_ms(self) -> int:
        return _FORMAT.unpack(self.path.read_bytes())[0]

    def set(self, error_ms: int) -> None:
        """Let the process's clock be wrong by so much from now on."""
        with self.path.open("r+b") as file:
            file.write(_FORMAT.pack(error_ms))


def follow(path: Path) -> None:
    """Let this process's wall clock be wrong by what the file says."""
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), _FORMAT.size, prot=mmap.PROT_READ)

    def error_ms() -> int:
        return _FORMAT.unpack(view)[0]

    clock.unix_ms = lambda: time.time_ns() // 1_000_000 + error_ms()
    clock.unix_seconds = lambda: clock.unix_ms() // 1000
    clock.now = lambda: datetime.now(UTC) + timedelta(milliseconds=error_ms())


def main() -> None:
    path, *arguments = sys.argv[1:]
    follow(Path(path))
    if arguments[0] == "--fault":
        faults.CODE_FAULTS[arguments[1]][0]()
        arguments = arguments[2:]
    os.execv = faults.run_here
    sys.argv[1:] = arguments
    from hub.cli import main  # noqa: PLC0415  # with the clock that it is to have

    main()


if __name__ == "__main__":
    main()
