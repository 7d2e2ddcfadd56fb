"""The machine's clock: what it says, and what it has counted since the machine's start.

The first is set now and then, by a person or by a time service; the second by nobody. Their
difference changes only when the clock is set, so that a time of the past can follow.
"""

import math
from functools import cache
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from core import clock

DRIFT: Final = 50e-6
STEP_MS: Final = 10
"""Two clocks cannot be read at one moment: what they differ by less was not set."""
RESTART_DOUBT_MS: Final = 3_600_000
"""How far a clock may have been set back unseen while its machine was off."""
_BRACKET_MS: Final = 2
_BRACKETS_MAX: Final = 8
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Anchor(msgspec.Struct, frozen=True):
    """How the clock stood in one run of the machine; none that is known: `machine_boot` empty."""

    machine_boot: str = ""
    offset_ms: int = 0
    """Unix milliseconds at the machine's start, by its clock of the moment."""


class Reading(msgspec.Struct, frozen=True):
    """Both clocks at one moment."""

    unix_ms: int
    anchor: Anchor


class Correction(msgspec.Struct, frozen=True):
    """What makes a past reading one of the present clock."""

    moved_ms: int = 0
    widened_ms: int = 0
    """What is to be added to its uncertainty."""


def read() -> Reading:
    """Read both clocks as close to each other as can be had."""
    best_ms: int | None = None
    unix_ms = offset_ms = 0
    for _ in range(_BRACKETS_MAX):
        before = clock.since_start_ms()
        now_ms = clock.unix_ms()
        width_ms = clock.since_start_ms() - before
        if best_ms is None or width_ms < best_ms:
            best_ms, unix_ms, offset_ms = width_ms, now_ms, now_ms - before - width_ms // 2
        if width_ms <= _BRACKET_MS:
            break
    return Reading(unix_ms, Anchor(_machine_boot(), offset_ms))


def correction(unix_ms: int, anchor: Anchor, now: Reading) -> Correction:
    """Return what the clock's settings since a reading of `unix_ms` do to it.

    In one run of the machine they are known: the reading moves along, and what the machine's
    crystal may have gone wrong in between is doubt. What happened while the machine was off is
    not: the reading stays, and may be as wrong as the clock can have been set forward, which is
    less than the time to this start, or set back, which `RESTART_DOUBT_MS` bounds.
    """
    if anchor.machine_boot != now.anchor.machine_boot:
        return Correction(0, max(RESTART_DOUBT_MS, abs(now.anchor.offset_ms - unix_ms)))
    moved_ms = now.anchor.offset_ms - anchor.offset_ms
    if abs(moved_ms) < STEP_MS:
        return Correction(0, abs(moved_ms))
    elapsed_ms = now.unix_ms - unix_ms - moved_ms
    return Correction(moved_ms, math.ceil(DRIFT * max(0, elapsed_ms)) + STEP_MS)


@cache
def _machine_boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux: at least this process knows its own readings again
        return str(uuid4())
