"""Emulation: frames to the server for connections whose own transport only carries from it.

Any process of the hub takes them and hands them to the one that has the connection, so that a load
balancer need not know which that is. The session is the secret that says whose frames these are.
"""

from collections.abc import Iterable
from typing import Final

from hub.realtime.carriers import http_exchange, origin
from hub.realtime.carriers.asgi_websocket import AsgiApp, Receive, Scope, Send
from hub.realtime.cluster.control import Control
from hub.realtime.cluster.messages import Emulate, EmulateResult
from hub.realtime.hub import Hub
from hub.realtime.protocol.framing import MalformedFrameError
from hub.realtime.protocol.messages import EmulationRequest

_ANSWER_SECONDS: Final = 3.0
_DELIVERED: Final = 204
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503


def emulation_endpoint(hub: Hub, control: Control, allowed_origins: Iterable[str] = ()) -> AsgiApp:
    """Return the ASGI application of `/emulation`.

    204: the connection has the frame. 404: there is no such process or no such session (any more).
    503: its process did not answer in time. SDKs open a new stream on 404 and 503.
    """
    allowed = origin.known_origins(allowed_origins)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = await http_exchange.admit(scope, send, allowed, ("POST",))
            body = await http_exchange.read_body(
                receive, send, hub.settings.max_message_bytes, headers
            )
            try:
                request = http_exchange.framing_of(scope).decode_emulation(body)
            except MalformedFrameError:
                await http_exchange.refuse(send, 400, "request.malformed", headers)
            if not request.session:
                await http_exchange.refuse(send, 400, "request.malformed", headers)
            status = await _hand_over(hub, control, request)
            if status != _DELIVERED:
                code = "request.not_found" if status == _NOT_FOUND else "service.unavailable"
                await http_exchange.refuse(send, status, code, headers)
            await http_exchange.respond(send, status, headers)
        except http_exchange.AnsweredError as answered:
            answered.note("emulation")

    return endpoint


async def _hand_over(hub: Hub, control: Control, request: EmulationRequest) -> int:
    """Return the status of the answer."""
    if await hub.emulate(request.session, request.data):
        return _DELIVERED
    others = {node.uid for node in control.nodes} - {hub.node_id}
    if request.node not in others:
        return _NOT_FOUND
    question = Emulate(request.session, request.data)
    survey = await control.survey(question, _ANSWER_SECONDS, node_id=request.node)
    match survey.answers.get(request.node):
        case EmulateResult(found):
            return _DELIVERED if found else _NOT_FOUND
        case _:
            return _UNAVAILABLE
