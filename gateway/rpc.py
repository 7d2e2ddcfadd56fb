"""Calls of the hub: each is answered once, by code or by result, and never ends the gateway."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from core import edge, log
from core.edge import RpcCode, RpcReply, RpcRequest

CALL_SECONDS: Final = 10.0
CALLS_MAX: Final = 4
REPLIES_KEPT: Final = 64

Method = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

_log = log.get("gateway.rpc")


class RpcError(Exception):
    """The call cannot be served; `code` tells why."""

    def __init__(self, code: RpcCode) -> None:
        super().__init__(code)
        self.code: RpcCode = code


class Rpc:
    """Serves methods by name."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self.methods = tuple(sorted(methods))
        self._methods = methods
        self._running: dict[bytes, asyncio.Future[RpcReply]] = {}
        self._replies: OrderedDict[bytes, RpcReply] = OrderedDict()

    async def answer(self, method: str, payload: bytes) -> RpcReply | None:
        """Return the reply, or None for what names no call. A repeated call has the same reply."""
        try:
            request = edge.decode(payload, RpcRequest)
        except edge.PayloadError as error:
            _log.warning("call_malformed", method=method[:32], reason=str(error))
            return None
        if known := self._replies.get(request.id):
            return known
        if running := self._running.get(request.id):
            return await asyncio.shield(running)
        if len(self._running) >= CALLS_MAX:
            return RpcReply(id=request.id, code="busy")
        call = asyncio.ensure_future(self._call(method, request))
        self._running[request.id] = call
        try:
            reply = self._replies[request.id] = await call
        finally:
            del self._running[request.id]
        if len(self._replies) > REPLIES_KEPT:
            self._replies.popitem(last=False)
        return reply

    async def _call(self, method: str, request: RpcRequest) -> RpcReply:
        serve = self._methods.get(method)
        if serve is None:
            return RpcReply(id=request.id, code="unknown_method")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                result = await serve(request.args)
        except RpcError as error:
            return RpcReply(id=request.id, code=error.code)
        except TimeoutError:
            return RpcReply(id=request.id, code="timeout")
        except Exception:  # noqa: BLE001  # a fault of one call is the caller's to know, no more
            _log.exception("call_failed", method=method)
            return RpcReply(id=request.id, code="failed")
        return RpcReply(id=request.id, result=result)
