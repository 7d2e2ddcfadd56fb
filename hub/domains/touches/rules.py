"""Which two records are one touch, and what may go over between their owners. Pure decisions."""

from collections.abc import Iterable, Sequence
from typing import Final

from firmware_bridge import eid
from hub.domains.profiles.schemas import ShareOnTap
from hub.domains.touches.schemas import Half, TouchAnswer, TouchEvent, TouchState

HALF_LIFETIME_MS: Final = 24 * 3600 * 1000
PAIR_WITHIN_MS: Final = 120_000
"""Two sure clocks may differ by this much."""


def is_expired(half: Half, now_ms: int) -> bool:
    """Tell whether a half has waited for its partner too long: it never pairs any more."""
    return now_ms - half.received_ms >= HALF_LIFETIME_MS


def is_pair(one: Half, other: Half) -> bool:
    """Tell whether two records of different rings tell of one touch.

    Each names the other ring and the seq of the other's record, and their times agree as far as
    both are sure. Undated records never pair by themselves.
    """
    if one.ring_id == other.ring_id:
        return False
    named = (one.peer_ring_id, one.peer_seq) == (other.ring_id, other.seq)
    named_back = (other.peer_ring_id, other.peer_seq) == (one.ring_id, one.seq)
    if not (named and named_back) or one.tapped_ms is None or other.tapped_ms is None:
        return False
    allowed_ms = max(PAIR_WITHIN_MS, one.uncertainty_ms + other.uncertainty_ms)
    return abs(one.tapped_ms - other.tapped_ms) <= allowed_ms


def find_partner(half: Half, waiting: Iterable[Half], now_ms: int) -> Half | None:
    """Return the half that completes this one; of several (a ring's boots) the nearest in time."""
    if is_expired(half, now_ms):
        return None
    partners = [
        other for other in waiting if not is_expired(other, now_ms) and is_pair(half, other)
    ]
    return min(partners, key=lambda other: _apart_ms(half, other), default=None)


def was_shown(id_key: bytes, identifier: bytes, heard_ms: int, uncertainty_ms: int) -> bool:
    """Tell whether a ring with this K_eid showed the identifier at this time, as far as it is sure.

    The clock of the ring that showed it may be one window off as well.
    """
    window = eid.open_eid(eid.derive(id_key), identifier)
    return window is not None and window in windows_of(heard_ms, uncertainty_ms)


def windows_of(heard_ms: int, uncertainty_ms: int) -> range:
    """Return the windows that an identifier heard at this time may belong to."""
    first = eid.window_of(heard_ms - uncertainty_ms) - 1
    return range(max(0, first), eid.window_of(heard_ms + uncertainty_ms) + 2)


def first_within(spans: Sequence[range], windows_max: int) -> tuple[int, set[int]]:
    """Return how many of the first spans fit together into so many windows, and those windows.

    A span that is too wide by itself is passed over: it counts, and adds nothing.
    """
    windows: set[int] = set()
    for number, span in enumerate(spans):
        if len(span) > windows_max:
            continue
        if len(windows | set(span)) > windows_max:
            return number, windows
        windows.update(span)
    return len(spans), windows


def next_state(state: TouchState, event: TouchEvent) -> TouchState:
    """Return what a side of a touch is after an event; what does not fit changes nothing.

    `partnered`: the other half came. `confirmed`: the other ring's owner confirmed a half in the
    app, before it expired. `exchanged`: contact cards went over, which takes both owners' consent.
    `declined`: this side's owner wants none of it.
    """
    match state, event:
        case "half", "partnered" | "confirmed":
            return "mutual"
        case "half", "expired":
            return "expired"
        case "half" | "mutual", "declined":
            return "declined"
        case "mutual", "exchanged":
            return "exchanged"
        case _:
            return state


def shares(setting: ShareOnTap, answer: TouchAnswer | None) -> bool:
    """Tell whether an owner lets the card go over; `never` holds whatever was answered."""
    if setting == "never" or answer == "declined":
        return False
    return setting == "always" or answer == "confirmed"


def is_asked(setting: ShareOnTap, answer: TouchAnswer | None) -> bool:
    """Tell whether a mutual touch waits for this owner's word."""
    return setting == "ask" and answer is None


def may_disclose(state: TouchState, *, sharing: tuple[bool, bool]) -> bool:
    """Tell whether contact data may go over: from a mutual touch, and only if both owners share."""
    return state in ("mutual", "exchanged") and all(sharing)


def _apart_ms(one: Half, other: Half) -> int:
    return abs((one.tapped_ms or 0) - (other.tapped_ms or 0))
