"""What the kernel knows of a process tree: CPU time and memory; and which core it may use."""

import os
import resource
import time
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = 1


def on_core(core: int) -> None:
    """Pin this process; called in a child before it becomes a server."""
    os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


def allow_files(wanted: int) -> int:
    """Raise the limit of open files for this process and its children; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (ValueError, OSError):  # only the kernel's administrator may go beyond
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process tree, user and system, exact to the microsecond."""
    # The kernel's CPU clock of a process: its number shifted, bits 0 to 2 say "whole process".
    return sum(time.clock_gettime((~member << 3) | 2) for member in tree(pid))


def memory_kib(pid: int) -> int:
    """Return the memory of a process tree, shared pages divided among those who share them."""
    total = 0
    for member in tree(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total
