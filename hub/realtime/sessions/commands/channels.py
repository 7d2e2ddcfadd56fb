"""The commands `publish`, `history`, `presence` and `presence_stats`: one question, one answer."""

from typing import TYPE_CHECKING

from hub.realtime import codes
from hub.realtime.broker import History
from hub.realtime.delivery import recovery
from hub.realtime.presence import PresenceStats
from hub.realtime.protocol.framing import BinaryDataError
from hub.realtime.protocol.messages import (
    ClientInfo,
    Command,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    Reply,
)
from hub.realtime.sessions import access
from hub.realtime.sessions.admission import Refusal
from hub.realtime.sessions.effects import Effect

if TYPE_CHECKING:
    from hub.realtime.sessions.session import Session


def publish(session: "Session", command: Command) -> list[Effect]:
    """Begin to publish for the client."""
    request = command.publish
    return _begin(session, access.publish(request, session, session.rules)) if request else []


def published(session: "Session") -> list[Effect]:
    """The client's publication is out."""
    return session.answer(Reply(publish=PublishResult()))


def read_history(session: "Session", command: Command) -> list[Effect]:
    """Begin to read a stream."""
    request = command.history
    if request is None:
        return []
    return _begin(session, access.read_history(request, session, session.rules))


def history_read(session: "Session", history: History) -> list[Effect]:
    """The stream asked for was read."""
    if not isinstance(session.current, Command) or session.current.history is None:
        return []
    since = session.current.history.since
    if since and since.epoch and since.epoch != history.top.epoch:
        return session.refused(codes.UNRECOVERABLE_POSITION)
    # One reply holds it all, whether or not its client reads it.
    page = recovery.page(history.publications, session.rules.settings.buffer_max_bytes)
    try:
        publications = [session.framing.publication(item) for item in page]
    except BinaryDataError:
        return session.close(codes.CLOSE_INAPPROPRIATE_PROTOCOL)
    result = HistoryResult(
        publications=publications, epoch=history.top.epoch, offset=history.top.offset
    )
    return session.answer(Reply(history=result))


def read_presence(session: "Session", command: Command) -> list[Effect]:
    """Begin to read who is in a channel."""
    request = command.presence
    if request is None:
        return []
    return _begin(session, access.read_presence(request, session, session.rules))


def presence_read(session: "Session", found: dict[str, ClientInfo]) -> list[Effect]:
    """Who is there is known."""
    return session.answer(Reply(presence=PresenceResult(presence=found)))


def count_presence(session: "Session", command: Command) -> list[Effect]:
    """Begin to count who is in a channel."""
    request = command.presence_stats
    if request is None:
        return []
    return _begin(session, access.count_presence(request, session, session.rules))


def presence_counted(session: "Session", found: PresenceStats) -> list[Effect]:
    """How many are there is known."""
    result = PresenceStatsResult(num_clients=found.num_clients, num_users=found.num_users)
    return session.answer(Reply(presence_stats=result))


def _begin(session: "Session", decision: Effect | Refusal) -> list[Effect]:
    match decision:
        case codes.Disconnect():
            return session.close(decision)
        case codes.Error():
            return session.refuse(decision)
        case effect:
            return [effect]
