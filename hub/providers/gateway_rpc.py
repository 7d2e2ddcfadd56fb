"""Calls of gateways over MQTT: one request, one reply, told apart by the id of the call.

Any process may call: each listens to the gateway's reply topic only while it waits for an answer.
The id is in the payload, and in MQTT 5 the correlation data too.
"""

import asyncio
import math
import os
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from core import edge
from core.edge import RpcReply, RpcRequest
from core.errors import DomainError
from hub.providers.mqtt_sender import Extras, MqttSender

CALL_SECONDS: Final = 12.0
"""A gateway answers within 10 s, if only with "timeout"."""
EXPIRES_SECONDS: Final = 30
"""What a gateway has not fetched by then is dropped by the broker."""
_ID_BYTES: Final = 16

_REFUSALS: Final[Mapping[str, str]] = {
    "unknown_method": "gateway.method_unknown",
    "malformed": "gateway.call_refused",
    "not_connected": "gateway.not_connected",
    "not_pressed": "gateway.ring_not_pressed",
    "failed": "gateway.call_failed",
    "timeout": "gateway.timeout",
    "busy": "gateway.busy",
}

_calls = Counter("pinghub_gateway_calls", "Calls of gateways by outcome", ["outcome"])


class GatewayRpc:
    """The methods of gateways, as functions."""

    def __init__(self, sender: MqttSender) -> None:
        self._sender = sender

    async def call(
        self,
        gateway_id: UUID,
        method: str,
        args: dict[str, Any],
        timeout_seconds: float = CALL_SECONDS,
    ) -> dict[str, Any]:
        """Return the method's result; who may call is the caller's to know.

        Raises DomainError: `gateway.offline` when the broker knows of no listener, the codes of
        `_REFUSALS` for the gateway's own answers, `gateway.timeout` without one, and
        `service.unavailable` while the broker is away.
        """
        try:
            result = await self._call(gateway_id, method, args, timeout_seconds)
        except DomainError as error:
            _calls.labels(error.code.rpartition(".")[2]).inc()
            raise
        _calls.labels("answered").inc()
        return result

    async def _call(
        self, gateway_id: UUID, method: str, args: dict[str, Any], timeout_seconds: float
    ) -> dict[str, Any]:
        call_id = os.urandom(_ID_BYTES)
        reply_topic = edge.reply_topic(gateway_id)
        async with self._sender.answers(reply_topic) as answers:
            is_heard = await self._sender.publish(
                edge.rpc_topic(gateway_id, method),
                edge.encode(RpcRequest(id=call_id, args=args)),
                extras=Extras(
                    expires_seconds=min(EXPIRES_SECONDS, math.ceil(timeout_seconds)),
                    response_topic=reply_topic,
                    correlation=call_id,
                ),
            )
            if not is_heard:
                raise DomainError("gateway.offline")
            try:
                async with asyncio.timeout(timeout_seconds):
                    reply = await _own_reply(answers, call_id)
            except TimeoutError:
                raise DomainError("gateway.timeout") from None
        if reply.code:
            raise DomainError(_REFUSALS[reply.code])
        return reply.result


async def _own_reply(answers: asyncio.Queue[bytes], call_id: bytes) -> RpcReply:
    """Return the reply with this id: on the topic are also those to other processes."""
    while True:
        try:
            reply = edge.decode(await answers.get(), RpcReply)
        except edge.PayloadError:
            continue  # whose it is cannot be told; the call ends at its time-out
        if reply.id == call_id:
            return reply
