"""When a certificate is renewed, sans-I/O: what happened goes in, what to do comes out.

FRESH -> ASKING (two thirds of its life are over) -> TRYING (the hub has answered) -> FRESH.
The successor has a key of its own: what somebody copied of this disk once is worth nothing after
the next renewal, although certificates are no secret. It counts only after a connection with it
has come about; until then the old one stays, and TRIED falls back to it. While there is no
connection at all both take turns, so that whichever the broker accepts is found. Every state is
told by what is on disk, so that a start after a crash goes on where the last run was.
"""

import enum
from collections.abc import Callable
from typing import Final

import msgspec

from core.edge import CertificateCode
from gateway.identity import Held, Validity

DUE_SHARE: Final = 2 / 3
JITTER_SHARE: Final = 1 / 30
"""Of a life of 90 days: three, so that gateways claimed together do not renew together."""
ASK_BASE_SECONDS: Final = 10.0
ASK_MAX_SECONDS: Final = 3600.0
REFUSED_SECONDS: Final = 3600.0
NOT_DUE_SECONDS: Final = 6 * 3600.0
"""The hub's clock counts; ours is wrong, or there is time."""
TRIAL_SECONDS: Final = 60.0
TRIALS_MAX: Final = 3
_SLOWEST: Final = 10


class RenewalState(enum.StrEnum):
    """Where a renewal stands."""

    FRESH = "fresh"
    ASKING = "asking"
    TRYING = "trying"
    TRIED = "tried"


class Tick(msgspec.Struct, frozen=True, tag=True):
    """Time passes; `unix_ms` by the machine's clock, which may be wrong."""

    unix_ms: int


class LinkUp(msgspec.Struct, frozen=True, tag=True):
    """The broker has accepted a connection; `on_trial`: with the successor."""

    on_trial: bool


class LinkFailed(msgspec.Struct, frozen=True, tag=True):
    """A connection was refused, or has ended."""

    on_trial: bool


class Replied(msgspec.Struct, frozen=True, tag=True):
    """The hub has answered; with code "" the certificate is on disk and fits its key."""

    code: CertificateCode


class ReplyUnusable(msgspec.Struct, frozen=True, tag=True):
    """The hub's certificate is none of ours, or could not be written."""


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The successor is the identity now."""

    validity: Validity


Event = Tick | LinkUp | LinkFailed | Replied | ReplyUnusable | Accepted


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Send the request, made if there is none; nothing happens without an answer."""


class Use(msgspec.Struct, frozen=True, tag=True):
    """Connect anew; `on_trial`: with the successor."""

    on_trial: bool


class Accept(msgspec.Struct, frozen=True, tag=True):
    """Let the successor be the identity, then report Accepted; asked for again until then."""


class Discard(msgspec.Struct, frozen=True, tag=True):
    """Forget the request, its key and what was answered to it."""


Action = Ask | Use | Accept | Discard

_STATE_OF: Final[dict[Held, RenewalState]] = {
    "nothing": RenewalState.FRESH,
    "request": RenewalState.ASKING,
    "certificate": RenewalState.TRYING,
}


class Renewal:
    """One identity's renewal; `feed` it events, do the actions in order."""

    def __init__(self, validity: Validity, held: Held, random: Callable[[], float]) -> None:
        """`held`: what is on disk of a successor; `random` returns 0 ≤ x < 1."""
        self.state = _STATE_OF[held]
        self.problem = ""
        """Why the last attempt failed."""
        self._random = random
        self._is_up = False
        self._is_proven = False
        self._tries = 0
        self._trials = 0
        self._next_at = 0.0
        self._take(validity)

    @property
    def is_on_trial(self) -> bool:
        """Whether connections are to show the successor."""
        return self.state is RenewalState.TRYING

    def feed(self, event: Event, now: float) -> list[Action]:
        """Take an event at `now` (monotonic seconds); return what to do."""
        match event:
            case Tick(unix_ms):
                return self._tick(unix_ms, now)
            case LinkUp(on_trial):
                self._is_up = True
                return self._up(on_trial, now)
            case LinkFailed(on_trial):
                self._is_up = False
                return self._failed(on_trial)
            case Replied(code):
                return self._replied(code, now)
            case ReplyUnusable():
                return self._refused("answer_malformed", REFUSED_SECONDS, now)
            case Accepted(validity):
                self._take(validity)
                self.problem = ""
                self._become(RenewalState.FRESH, 0.0)
                return []

    def _take(self, validity: Validity) -> None:
        self.validity = validity
        life = validity.not_after_ms - validity.not_before_ms
        share = DUE_SHARE + self._random() * JITTER_SHARE
        self.due_ms = validity.not_before_ms + round(life * share)

    def _become(self, state: RenewalState, next_at: float) -> None:
        self.state = state
        self._next_at = next_at
        self._tries = 0
        self._is_proven = False
        if state is RenewalState.FRESH:
            self._trials = 0

    def _tick(self, unix_ms: int, now: float) -> list[Action]:
        if not self._is_up or now < self._next_at:
            return []
        match self.state:
            case RenewalState.FRESH:
                if unix_ms < self.due_ms:
                    return []
                self._become(RenewalState.ASKING, now)
                return self._again(Ask(), now)
            case RenewalState.ASKING:
                return self._again(Ask(), now)
            case RenewalState.TRYING:
                return self._again(Accept(), now) if self._is_proven else []
            case RenewalState.TRIED:
                self._become(RenewalState.TRYING, now)
                return [Use(on_trial=True)]

    def _again(self, action: Action, now: float) -> list[Action]:
        ceiling = min(ASK_MAX_SECONDS, ASK_BASE_SECONDS * 2.0 ** min(self._tries, _SLOWEST))
        self._tries += 1
        self._next_at = now + ceiling * (1 + self._random()) / 2
        return [action]

    def _up(self, on_trial: bool, now: float) -> list[Action]:
        match self.state:
            case RenewalState.TRYING if on_trial:
                self._is_proven = True
                return self._again(Accept(), now)
            case RenewalState.TRIED if not on_trial:
                self._trials += 1
                if self._trials >= TRIALS_MAX:
                    return self._refused("successor_refused", REFUSED_SECONDS, now)
                self._next_at = now + TRIAL_SECONDS
                return []
            case _:
                return []

    def _failed(self, on_trial: bool) -> list[Action]:
        match self.state:
            case RenewalState.TRYING if on_trial and not self._is_proven:
                self._become(RenewalState.TRIED, 0.0)
                return [Use(on_trial=False)]
            case RenewalState.TRIED if not on_trial:
                self._become(RenewalState.TRYING, 0.0)
                return [Use(on_trial=True)]
            case _:
                return []

    def _replied(self, code: CertificateCode, now: float) -> list[Action]:
        if self.state is not RenewalState.ASKING:
            return []
        match code:
            case "":
                self._become(RenewalState.TRYING, 0.0)
                return [Use(on_trial=True)]
            case "unavailable":
                self.problem = code
                return []  # the same request again, ever more slowly
            case "not_due":
                return self._refused("", NOT_DUE_SECONDS, now)
            case "revoked" | "malformed":
                return self._refused(code, REFUSED_SECONDS, now)

    def _refused(self, problem: str, pause_seconds: float, now: float) -> list[Action]:
        self.problem = problem
        self._become(RenewalState.FRESH, now + pause_seconds * (1 + self._random()) / 2)
        return [Discard()]
