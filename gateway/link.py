"""The link to one ring, sans-I/O: what happened goes in, what to do comes out.

UNKNOWN -> SEEN -> CONNECTING -> DISCOVERING -> SUBSCRIBED -> REPLAYING -> LIVE -> LOST -> BACKOFF;
where a ring demands encryption, DISCOVERING -> PAIRING -> DISCOVERING. When neither the bond nor a
new one is accepted, the bond is forgotten once; then only patience helps, and a person.

The acknowledgement law lives here: a ring forgets a record only after this record, and every older
one that it keeps, is on the gateway's disk.
"""

import enum
from collections.abc import Callable
from typing import Final

from firmware_bridge.gatt import Status
from firmware_bridge.tap import ATT_MTU_MIN
from gateway.link_words import (
    AckWritten,
    Action,
    Connect,
    Connected,
    ConnectFailed,
    ConnectStarted,
    Disconnect,
    Disconnected,
    Discover,
    Discovered,
    EncryptionRequired,
    Event,
    ForgetBond,
    OperationFailed,
    Pair,
    Paired,
    PairingFailed,
    ReadStatus,
    Received,
    ReplayDone,
    Seen,
    StartReplay,
    StatusRead,
    Stored,
    StoreFailed,
    Subscribe,
    Subscribed,
    Tick,
    WriteAck,
    Yield,
)
from gateway.marks import Marks

CONNECT_SECONDS: Final = 10.0
OPERATION_SECONDS: Final = 10.0
PAIRING_SECONDS: Final = 30.0
"""What the Security Manager Protocol allows a pairing (Bluetooth Core, vol. 3, part H, 3.4)."""
EARLY_LOSSES_MAX: Final = 3
"""A ring that leaves so often before it has said a word may have lost its bond."""
REPLAY_SECONDS: Final = 30.0
"""Longest silence between two records of a replay."""
STATUS_SECONDS: Final = 30.0
"""How often a quiet link proves that it is alive, dates the ring's clock and finds missed taps."""
BACKOFF_BASE_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 60.0
NO_SLOTS_SECONDS: Final = 4.0
RETRY_BASE_SECONDS: Final = 0.25
_SLOWEST: Final = 8  # failures after which a delay no longer doubles
FORGET_SECONDS: Final = 600.0
"""Rings change their address; one that was not heard for so long will not come back under it."""


class LinkState(enum.StrEnum):
    """Where a link stands."""

    UNKNOWN = "unknown"
    SEEN = "seen"
    CONNECTING = "connecting"
    DISCOVERING = "discovering"
    PAIRING = "pairing"
    SUBSCRIBED = "subscribed"
    REPLAYING = "replaying"
    LIVE = "live"
    LOST = "lost"
    BACKOFF = "backoff"


_LINKED: Final = (
    LinkState.DISCOVERING,
    LinkState.PAIRING,
    LinkState.SUBSCRIBED,
    LinkState.REPLAYING,
    LinkState.LIVE,
)


class RingLink:
    """One ring's link; `feed` it events, do the actions in order, call again at `deadline`."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns 0 ≤ x < 1; it spreads reconnects (full jitter)."""
        self._random = random
        self.state = LinkState.UNKNOWN
        self.deadline: float | None = None
        self.reason = ""
        """Why the last connection ended."""
        self.heard_at = 0.0
        self._failures = 0
        self._retries = 0
        self._early_losses = 0
        self._has_forgotten_bond = False
        self._begin_connection()

    def feed(self, event: Event, now: float) -> list[Action]:
        """Take an event at `now` (monotonic seconds); return what to do."""
        match event:
            case Seen():
                return self._seen(now)
            case Disconnected():
                return self._disconnected(now)
            case ConnectFailed(no_slots):
                return self._connect_failed(no_slots, now)
            case Tick():
                return self._tick(now)
            case Yield():
                return self._lose("yielded", now) if self.is_quiet else []
            case _:
                return self._converse(event, now)

    def is_forgettable(self, now: float) -> bool:
        """Whether nothing was heard for so long that the address is dead."""
        idle = self.state in (LinkState.UNKNOWN, LinkState.SEEN, LinkState.BACKOFF)
        return idle and now - self.heard_at > FORGET_SECONDS

    @property
    def is_linked(self) -> bool:
        """Whether a connection stands."""
        return self.state in _LINKED

    @property
    def is_quiet(self) -> bool:
        """Whether everything is stored and acknowledged."""
        busy = self._acking or self._reading_status or self._marks.is_waiting
        return self.state is LinkState.LIVE and not busy

    def _begin_connection(self) -> None:
        self._marks = Marks()
        self._reading_status = False
        self._replaying = False
        self._acking = False
        self._retry_is_set = False
        self._has_paired = False

    def _seen(self, now: float) -> list[Action]:
        self.heard_at = now
        if self.state is not LinkState.UNKNOWN:
            return []
        self.state = LinkState.SEEN
        self.deadline = None  # the adapter's queue decides when the turn comes
        self._begin_connection()
        return [Connect()]

    def _converse(self, event: Event, now: float) -> list[Action]:
        match event:
            case ConnectStarted() | Connected() | Discovered() | Subscribed():
                return self._advance(event, now)
            case EncryptionRequired() | Paired() | PairingFailed():
                return self._secure(event, now)
            case OperationFailed(reason) if self.is_linked:
                return self._lose(reason, now)
            case _:
                return self._exchange(event, now) if self.is_linked else []

    def _advance(
        self, event: ConnectStarted | Connected | Discovered | Subscribed, now: float
    ) -> list[Action]:
        match event, self.state:
            case ConnectStarted(), LinkState.SEEN:
                self.state = LinkState.CONNECTING
                self.deadline = now + CONNECT_SECONDS
                return []
            case Connected(), LinkState.CONNECTING:
                self.state = LinkState.DISCOVERING
                self.deadline = now + OPERATION_SECONDS
                return [Discover()]
            case Discovered(mtu), LinkState.DISCOVERING:
                if mtu < ATT_MTU_MIN:
                    # A cut record would fail its tag: better no link than broken taps.
                    self._failures = _SLOWEST
                    return self._lose("mtu_too_small", now)
                self.deadline = now + OPERATION_SECONDS
                return [Subscribe()]
            case Subscribed(), LinkState.DISCOVERING:
                self.state = LinkState.SUBSCRIBED
                return self._read_status(now)
            case _:
                return []

    def _secure(
        self, event: EncryptionRequired | Paired | PairingFailed, now: float
    ) -> list[Action]:
        match event, self.state:
            case EncryptionRequired(), LinkState.DISCOVERING if not self._has_paired:
                self.state = LinkState.PAIRING
                self.deadline = now + PAIRING_SECONDS
                return [Pair()]
            case Paired(), LinkState.PAIRING:
                self._has_paired = True
                self.state = LinkState.DISCOVERING
                self.deadline = now + OPERATION_SECONDS
                return [Discover()]
            case (EncryptionRequired() | PairingFailed(), _) if self.is_linked:
                return self._distrust("auth_failed", now)
            case _:
                return []

    def _distrust(self, reason: str, now: float) -> list[Action]:
        """Leave a ring that refuses the bond; once, forget the bond."""
        if self._has_forgotten_bond:
            self._failures = _SLOWEST  # its owner has to let it pair again
            return self._lose(reason, now)
        self._has_forgotten_bond = True
        self._early_losses = 0
        return [ForgetBond(), *self._lose(reason, now)]

    def _exchange(self, event: Event, now: float) -> list[Action]:
        match event:
            case StatusRead(status):
                return self._status_read(status, now)
            case Received(boot, seq):
                self._marks.received(boot, seq)
                if self._replaying:
                    self.deadline = now + REPLAY_SECONDS
                return []
            case Stored(boot, seq):
                self._marks.stored(boot, seq)
            case StoreFailed(boot, seq):
                self._marks.failed(boot, seq)
            case ReplayDone():
                self._replaying = False
            case AckWritten():
                self._acking = False
                self._retries = 0
                self._marks.confirmed()
            case _:
                return []
        return self._settle(now)

    def _status_read(self, status: Status, now: float) -> list[Action]:
        self._reading_status = False
        self._marks.snapshot(status.boot, status.last_seq, status.oldest_unacked, status.pending)
        if self._marks.is_complete or self._marks.is_waiting:
            return self._settle(now)
        self.state = LinkState.REPLAYING
        self._replaying = True
        self.deadline = now + REPLAY_SECONDS
        return [StartReplay()]

    def _settle(self, now: float) -> list[Action]:
        """Acknowledge what may be acknowledged, and look whether anything is missing."""
        actions: list[Action] = []
        if not self._acking and (due := self._marks.next_ack()):
            self._acking = True
            actions.append(WriteAck(*due))
        if self._replaying or self._reading_status:
            return actions
        if self._marks.is_complete and not self._marks.has_gap:
            if self.state is not LinkState.LIVE:
                self.state = LinkState.LIVE
                self.deadline = now + STATUS_SECONDS
            self._failures = 0
            self._early_losses = 0
            self._has_forgotten_bond = False
            self._retry_is_set = False
        elif not self._marks.is_waiting and not self._retry_is_set:
            # Lost on the way here, or refused by the disk: the ring still has it.
            self.state = LinkState.REPLAYING
            self._retry_is_set = True
            self.deadline = now + self._retry_seconds()
        return actions

    def _retry_seconds(self) -> float:
        self._retries += 1
        if self._retries == 1:
            return 0.0  # one look costs one read; only repetition must be slow
        return min(RETRY_BASE_SECONDS * 2.0 ** min(self._retries, _SLOWEST), BACKOFF_MAX_SECONDS)

    def _read_status(self, now: float) -> list[Action]:
        self._reading_status = True
        self._retry_is_set = False
        self.deadline = now + OPERATION_SECONDS
        return [ReadStatus()]

    def _tick(self, now: float) -> list[Action]:
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is LinkState.BACKOFF:
            self.state = LinkState.UNKNOWN
            self.deadline = None
            return []
        if self.state is LinkState.LOST:
            self._back_off(now)
            return []
        quiet = not (self._reading_status or self._replaying)
        if quiet and self.state in (LinkState.LIVE, LinkState.REPLAYING):
            return self._read_status(now)
        return self._lose("timeout", now)

    def _connect_failed(self, no_slots: bool, now: float) -> list[Action]:
        if self.state in (LinkState.SEEN, LinkState.CONNECTING):
            self.reason = "no_slots" if no_slots else "connect_failed"
            self._back_off(now)
            if no_slots:
                self.deadline = now + NO_SLOTS_SECONDS
        return []

    def _disconnected(self, now: float) -> list[Action]:
        if self.state is LinkState.LOST:
            self._back_off(now)
            return []
        if self.state in (LinkState.DISCOVERING, LinkState.PAIRING):
            # Some stacks tell a bond that the ring has lost by nothing but this.
            self._early_losses += 1
            if self._early_losses >= EARLY_LOSSES_MAX and not self._has_forgotten_bond:
                return self._distrust("disconnected", now)
        if self.is_linked or self.state is LinkState.CONNECTING:
            return self._lose("disconnected", now)
        return []

    def _lose(self, reason: str, now: float) -> list[Action]:
        """Leave the connection; a new one waits until the old one is cleared away."""
        self.reason = reason
        self.state = LinkState.LOST
        self.deadline = now + OPERATION_SECONDS
        self._begin_connection()
        return [Disconnect(reason)]

    def _back_off(self, now: float) -> None:
        self.state = LinkState.BACKOFF
        ceiling = min(BACKOFF_MAX_SECONDS, BACKOFF_BASE_SECONDS * 2.0**self._failures)
        self._failures = min(self._failures + 1, _SLOWEST)
        self.deadline = now + self._random() * ceiling
        self._begin_connection()
