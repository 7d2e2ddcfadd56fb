"""Which spooled taps are to be sent now, sans-I/O: the window, resends, and holds.

A tap leaves the window only by the hub's own word. PUBACK is hop by hop: it merely starts the wait
for that word, and its codes 0x10 (nobody subscribed) and 0x87 (not authorised) say that the broker
has thrown the tap away.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from gateway.spool_rows import Row

WINDOW: Final = 64
RESEND_BASE_SECONDS: Final = 2.0
RESEND_MAX_SECONDS: Final = 15.0
"""Without the hub 64 taps are repeated so often: little load, and soon there when it is back."""
ASIDE_MAX: Final = 4096
"""How many taps that the hub defers may stand aside of the window."""
ASIDE_BASE_SECONDS: Final = 15.0
ASIDE_MAX_SECONDS: Final = 300.0
HOLD_BASE_SECONDS: Final = 0.5
HOLD_MAX_SECONDS: Final = 10.0
NO_SUBSCRIBERS: Final = 0x10
NOT_AUTHORIZED: Final = 0x87
FAILURE: Final = 0x80


class _Waiting(msgspec.Struct):
    row: Row
    due_at: float
    sends: int = 0
    holds: int = 0
    asides: int = 0
    """`sends` when the hub deferred it last; since then it takes no place in the window."""
    mid: int | None = None
    """Packet id of the last send until the broker has answered it."""
    sent_at: float = 0.0


class Delivery:
    """Taps between spool and hub."""

    def __init__(self, random: Callable[[], float], *, window: int = WINDOW) -> None:
        """`random` returns 0 ≤ x < 1; it spreads resends."""
        self._random = random
        self._window = window
        self._waiting: dict[tuple[bytes, int, int], _Waiting] = {}
        self._by_mid: dict[int, _Waiting] = {}
        self.cursor = 0
        """Id of the last row taken from the spool."""
        self._aside_count = 0
        self.resends = 0
        self.held = 0
        self.alarm = ""
        """Set while the broker refuses taps."""

    @property
    def room(self) -> int:
        """How many further rows the window takes."""
        if self._aside_count >= ASIDE_MAX:
            return 0
        return self._window - len(self._waiting) + self._aside_count

    @property
    def outstanding(self) -> int:
        """How many taps wait for the hub's word."""
        return len(self._waiting)

    def offer(self, rows: Iterable[Row], now: float) -> None:
        """Take rows that follow `cursor`."""
        for row in rows:
            self.cursor = row.id
            self._waiting[row.ring, row.boot, row.seq] = _Waiting(row, due_at=now)

    def restart(self) -> None:
        """Forget the window: the spool's rows are numbered anew."""
        self._waiting.clear()
        self._by_mid.clear()
        self._aside_count = 0
        self.cursor = 0

    def due(self, now: float) -> list[Row]:
        """Return the rows to send now, in their order of arrival."""
        found = [item.row for item in self._waiting.values() if item.due_at <= now]
        return sorted(found, key=lambda row: row.id)

    @property
    def next_due(self) -> float | None:
        """When the next row is to be sent."""
        return min((item.due_at for item in self._waiting.values()), default=None)

    def sent(self, row: Row, mid: int, now: float) -> None:
        """A row went to the broker as packet `mid`."""
        item = self._waiting.get((row.ring, row.boot, row.seq))
        if item is None:
            return
        self.resends += item.sends > 0
        item.sends += 1
        item.sent_at = now
        item.mid = mid
        item.due_at = now + self._delay(item.sends, RESEND_BASE_SECONDS, RESEND_MAX_SECONDS)
        self._by_mid[mid] = item

    def puback(self, mid: int, reason: int, now: float) -> None:
        """The broker has answered a packet."""
        item = self._by_mid.pop(mid, None)
        if item is None or item.mid != mid:
            return
        item.mid = None
        if reason == NO_SUBSCRIBERS or reason >= FAILURE:
            item.holds += 1
            self.held += 1
            self.alarm = "not_authorized" if reason == NOT_AUTHORIZED else "no_subscribers"
            item.due_at = now + self._delay(item.holds, HOLD_BASE_SECONDS, HOLD_MAX_SECONDS)
        else:
            item.holds = 0
            self.alarm = ""

    def link_lost(self, now: float) -> None:
        """The connection to the broker is gone: what it did not answer is to be sent again."""
        for item in self._waiting.values():
            # A broker that died has lost what it had answered too; one that lives has not, so
            # these get the time for the hub's word to arrive first.
            if not item.asides:
                item.due_at = min(item.due_at, now + RESEND_BASE_SECONDS)
        for item in self._by_mid.values():
            item.mid = None
            if not item.asides:
                item.due_at = now
        self._by_mid.clear()

    def settled(self, ring: bytes, boot: int, first: int, last: int, now: float) -> None:
        """The hub has given its word for a range, which also proves that it is there."""
        latest = now
        if last - first < len(self._waiting):
            keys = ((ring, boot, seq) for seq in range(first, last + 1))
            found = [key for key in keys if key in self._waiting]
        else:
            found = [k for k in self._waiting if k[:2] == (ring, boot) and first <= k[2] <= last]
        for key in found:
            latest = min(latest, self._forget(key).sent_at)
        # Taps that were sent well before one that got through were lost on the way; waiting out
        # their backoff would only delay them.
        for item in self._waiting.values():
            if item.sends and not item.asides and item.sent_at < latest - RESEND_BASE_SECONDS:
                item.due_at = min(item.due_at, now)

    def deferred(self, ring: bytes, boot: int, now: float) -> None:
        """The hub cannot judge these taps now; they must not keep those of other rings waiting."""
        for key, item in self._waiting.items():
            # What it deferred lately waits already: only what was sent since can be meant.
            if key[:2] == (ring, boot) and item.sends > item.asides:
                self._aside_count += not item.asides
                item.asides = item.sends
                delay = self._delay(item.asides, ASIDE_BASE_SECONDS, ASIDE_MAX_SECONDS)
                item.due_at = now + delay

    def _forget(self, key: tuple[bytes, int, int]) -> _Waiting:
        item = self._waiting.pop(key)
        self._aside_count -= item.asides > 0
        if item.mid is not None:
            self._by_mid.pop(item.mid, None)
        return item

    def _delay(self, attempts: int, base: float, ceiling: float) -> float:
        """Exponential with equal jitter: never sooner than half, so that an answer can arrive."""
        full = min(ceiling, base * 2.0 ** min(attempts - 1, 10))
        return full / 2 + self._random() * full / 2
