"""When a tap happened, judged from clocks of different worth; which two records are one touch."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from core.edge import RejectCode, TagRead, TapEvent, TimeSource
from hub.domains.taps.schemas import Arrival, Half, Refusal, TapTime, TouchEvent, TouchState

# Before the first ring was made: a clock that says less was never set.
_OLDEST_CREDIBLE_MS: Final = 1_704_067_200_000  # 2024-01-01
# A tap dated by its arrival may have waited in ring and spool for a time that nobody measured.
UNDATED_UNCERTAINTY_MS: Final = 24 * 3600 * 1000
_UNCERTAINTY_MAX_MS: Final = (1 << 31) - 1

HALF_LIFETIME_MS: Final = 24 * 3600 * 1000
PAIR_WITHIN_MS: Final = 120_000
"""Two sure clocks may differ by this much."""


def tap_time(event: TapEvent | TagRead, received_ms: int) -> TapTime:
    """Return the time of a tap that reached the hub at `received_ms` (Unix milliseconds).

    A gateway without a synchronised clock is believed only in differences: the tap is dated back
    from its arrival. A time in the future is cut to the arrival, and what was cut is uncertainty.
    So is how far the gateway's clock and ours differ, when it says what it had at sending: whether
    it is wrong or the message was long on its way, nobody can tell.
    """
    if event.t is None:
        return TapTime(None, None, "none")
    stated_ms = max(0, event.unc_ms)
    if event.t_src == "none" or event.t < _OLDEST_CREDIBLE_MS:
        age_ms = _age_ms(event)
        return _time(received_ms - age_ms, max(stated_ms, UNDATED_UNCERTAINTY_MS), "none")
    apart_ms = abs(received_ms - event.tx_ms) if event.tx_ms else 0
    ahead_ms = event.t - received_ms
    if ahead_ms > 0:
        return _time(received_ms, stated_ms + max(ahead_ms, apart_ms), event.t_src)
    return _time(event.t, stated_ms + apart_ms, event.t_src)


def refuse(arrival: Arrival, reason: RejectCode) -> Refusal:
    """Return the refusal of a tap that was read."""
    event = arrival.event
    return Refusal(
        gateway_id=arrival.gateway_id,
        reason=reason,
        device_id=event.ring,
        boot=event.boot,
        seq=event.seq,
        raw=event.raw,
    )


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


def next_state(state: TouchState, event: TouchEvent) -> TouchState:
    """Return what a touch is after an event; what does not fit changes nothing.

    `partnered`: the other half came. `confirmed`: the other ring's owner confirmed a half in the
    app, before it expired. `exchanged`: contact cards went over, which takes both owners' consent.
    """
    match state, event:
        case "half", "partnered" | "confirmed":
            return "mutual"
        case "mutual", "exchanged":
            return "exchanged"
        case _:
            return state


def may_disclose(state: TouchState, *, sharing: tuple[bool, bool]) -> bool:
    """Tell whether contact data may go over: never from a half, and only if both owners share."""
    return state != "half" and all(sharing)


def _age_ms(event: TapEvent | TagRead) -> int:
    age_ms = event.rx_ms - (event.t or 0)
    return age_ms if 0 < age_ms <= UNDATED_UNCERTAINTY_MS else 0


def _time(unix_ms: int, uncertainty_ms: int, source: TimeSource) -> TapTime:
    return TapTime(
        tapped_at=datetime.fromtimestamp(unix_ms / 1000, UTC),
        uncertainty_ms=min(uncertainty_ms, _UNCERTAINTY_MAX_MS),
        source=source,
    )


def _apart_ms(one: Half, other: Half) -> int:
    return abs((one.tapped_ms or 0) - (other.tapped_ms or 0))
