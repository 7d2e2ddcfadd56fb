"""When a tap happened, judged from clocks of different worth."""

from datetime import UTC, datetime
from typing import Final

from core.edge import RejectCode, TagRead, TapEvent, TimeSource
from firmware_bridge import tap
from hub.domains.taps.schemas import Arrival, OpenKeys, Refusal, Signer, TapTime

# Before the first ring was made: a clock that says less was never set.
_OLDEST_CREDIBLE_MS: Final = 1_704_067_200_000  # 2024-01-01
# A tap dated by its arrival may have waited in ring and spool for a time that nobody measured.
UNDATED_UNCERTAINTY_MS: Final = 24 * 3600 * 1000
_UNCERTAINTY_MAX_MS: Final = (1 << 31) - 1


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


def signer_of(event: TapEvent, keys: OpenKeys) -> Signer | None:
    """Return which of a ring's keys signed a tap; None: no key that could have signed it then.

    A key that the ring has given up signs only what was tapped before: who learned it later can add
    nothing to what the ring says from then on.
    """

    def is_signed(key: bytes) -> bool:
        return tap.verify(event.raw, ring_id=event.ring, key=key)

    if is_signed(keys.present):
        return "present"
    if keys.following is not None and is_signed(keys.following):
        return "following"
    is_before = (event.boot, event.seq) < keys.rotated
    if keys.former is not None and is_before and is_signed(keys.former):
        return "former"
    return None


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


def _age_ms(event: TapEvent | TagRead) -> int:
    age_ms = event.rx_ms - (event.t or 0)
    return age_ms if 0 < age_ms <= UNDATED_UNCERTAINTY_MS else 0


def _time(unix_ms: int, uncertainty_ms: int, source: TimeSource) -> TapTime:
    return TapTime(
        tapped_at=datetime.fromtimestamp(unix_ms / 1000, UTC),
        uncertainty_ms=min(uncertainty_ms, _UNCERTAINTY_MAX_MS),
        source=source,
    )
