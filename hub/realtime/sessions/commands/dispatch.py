"""Which function begins which command."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hub.realtime import codes
from hub.realtime.protocol.messages import Command
from hub.realtime.sessions.commands import calls, channels, connect, subscribe
from hub.realtime.sessions.effects import Effect

if TYPE_CHECKING:
    from hub.realtime.sessions.session import Session

_STARTS: Final[dict[str, Callable[["Session", Command], list[Effect]]]] = {
    "connect": connect.start,
    "subscribe": subscribe.start,
    "unsubscribe": subscribe.unsubscribe,
    "publish": channels.publish,
    "presence": channels.read_presence,
    "presence_stats": channels.count_presence,
    "history": channels.read_history,
    "rpc": calls.call,
    "send": calls.send,
    "refresh": connect.refresh,
    "sub_refresh": subscribe.refresh,
}


def start(session: "Session", command: Command) -> list[Effect]:
    """Begin a command; the first request that is present counts."""
    begin = _STARTS.get(command.method)
    return begin(session, command) if begin else session.close(codes.CLOSE_BAD_REQUEST)
