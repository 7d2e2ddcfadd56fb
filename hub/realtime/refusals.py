"""What was refused lately, per user: the first thing to look at when somebody receives nothing."""

from collections import OrderedDict, deque
from typing import Final

from core import clock
from hub.realtime.cluster.messages import Refusal

_PER_USER: Final = 20
_USERS_MAX: Final = 10_000
_CHANNEL_MAX_CHARACTERS: Final = 255


class Refusals:
    """Keeps the newest refusals of the users who were refused last; memory has a bound."""

    def __init__(self) -> None:
        self._by_user: OrderedDict[str, deque[Refusal]] = OrderedDict()

    def note(self, user: str, *, method: str, channel: str, code: int, reason: str) -> None:
        """Remember that a command was refused, or that a connection was closed."""
        refusal = Refusal(
            at=clock.unix_seconds(),
            method=method,
            # Whatever a client wrote.
            channel=channel[:_CHANNEL_MAX_CHARACTERS],
            code=code,
            reason=reason,
        )
        self._by_user.setdefault(user, deque(maxlen=_PER_USER)).append(refusal)
        self._by_user.move_to_end(user)
        if len(self._by_user) > _USERS_MAX:
            self._by_user.popitem(last=False)

    def of(self, user: str) -> tuple[Refusal, ...]:
        """Return a user's refusals, the oldest first."""
        return tuple(self._by_user.get(user, ()))
