"""The commands `rpc` and `send`: what a client asks of the application itself."""

from typing import TYPE_CHECKING

from hub.realtime import codes
from hub.realtime.protocol.messages import EMPTY, Command, Reply, RpcResult, raw
from hub.realtime.sessions.effects import Call, Effect, HandOver

if TYPE_CHECKING:
    from hub.realtime.sessions.session import Session


def call(session: "Session", command: Command) -> list[Effect]:
    """Begin a call; the commands behind it do not wait for its answer."""
    request = command.rpc
    if request is None:
        return []
    methods = session.rules.methods
    if not methods:
        return session.refuse(codes.NOT_AVAILABLE)
    if request.method not in methods:
        return session.refuse(codes.METHOD_NOT_FOUND)
    session.calls += 1
    session.current = None
    return [Call(command.id, request.method, request.data)]


def called(session: "Session", command_id: int, data: bytes) -> list[Effect]:
    """A call was answered."""
    session.calls -= 1
    if not session.is_connected:
        return []
    reply = Reply(id=command_id, rpc=RpcResult(data=raw(data)))
    return [*session.send(reply), *session.work()]


def failed(session: "Session", command_id: int, error: codes.Error) -> list[Effect]:
    """A call was refused or came to nothing."""
    session.calls -= 1
    if not session.is_connected:
        return []
    return [*session.reply_error(command_id, "rpc", error), *session.work()]


def send(session: "Session", command: Command) -> list[Effect]:
    """Give data to the application, or end a connection that sends where nobody listens."""
    if not session.rules.hears_messages:
        return session.close(codes.CLOSE_NOT_AVAILABLE)
    return [HandOver(command.send.data if command.send else EMPTY)]


def handed_over(session: "Session") -> list[Effect]:
    """The application has taken the data; there is no reply to that."""
    session.finish()
    return session.work()
