"""Bodies of the server API: one method, a batch of them, and the older stream of commands."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from core import clock, log
from hub.realtime import codes, metrics
from hub.realtime.broker import BrokerUnavailableError
from hub.realtime.operations import Engine, RefusedError
from hub.realtime.protocol.messages import EMPTY
from hub.realtime.server_api.messages import Error, Request, Response, Result
from hub.realtime.server_api.methods import METHODS, error_of, note_refusal

# Where a null stands for itself, not for an absent field.
_DATA_FIELDS: Final = frozenset({"data", "params", "info"})
# batch -> commands -> command -> request -> override -> value
_NULLS_MAX_DEPTH: Final = 6
_PARALLEL_MAX: Final = 1024
# The numbers that the older form gives to methods.
_NUMBERS: Final = {
    0: "publish",
    1: "broadcast",
    2: "unsubscribe",
    3: "disconnect",
    4: "presence",
    5: "presence_stats",
    6: "history",
    7: "history_remove",
    8: "channels",
    9: "info",
    10: "rpc",
    11: "subscribe",
    12: "refresh",
}

_decoders: Final = {name: msgspec.json.Decoder(method.request) for name, method in METHODS.items()}
_decode_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_items: Final = msgspec.json.Decoder(list[Raw]).decode
_logger = log.get("realtime.server_api")


class MalformedBodyError(Exception):
    """The body is not what the method takes; nothing of it was done."""


class _Batch(msgspec.Struct):
    commands: list[dict[str, Raw] | None] = []
    parallel: bool = False


class _OldCommand(msgspec.Struct):
    id: int = 0
    method: str | int = 0
    params: Raw = EMPTY


class OldReply(msgspec.Struct, omit_defaults=True):
    """A reply of the older form."""

    id: int = 0
    error: Error | None = None
    result: Result | None = None


async def call(engine: Engine, name: str, body: bytes) -> Response:
    """Carry out one method, or raise MalformedBodyError."""
    return await _run(engine, name, _decode(name, body))


async def batch(engine: Engine, body: bytes) -> dict[str, list[dict[str, Any]]]:
    """Carry out commands in order or all at once; each has its own reply."""
    try:
        request = msgspec.json.decode(body, type=_Batch)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        request = _decode_again(body, _Batch)
    commands = [_command(item) for item in request.commands]
    if not request.parallel:
        return {"replies": [await _reply(engine, command) for command in commands]}
    gate = asyncio.Semaphore(_PARALLEL_MAX)

    async def reply(command: tuple[str, Request] | codes.Error) -> dict[str, Any]:
        async with gate:
            return await _reply(engine, command)

    return {"replies": list(await asyncio.gather(*map(reply, commands)))}


async def old_commands(engine: Engine, body: bytes) -> list[OldReply]:
    """Carry out `{"method": …, "params": …}` objects, one after the other, or raise."""
    commands = [_old_command(text) for text in _split(body)]
    if not commands:
        raise MalformedBodyError
    replies: list[OldReply] = []
    for number, name, request in commands:
        answer = (
            Response(error=_refused(name, request)) if isinstance(request, codes.Error) else None
        )
        if answer is None:
            answer = await _run(engine, name, cast("Request", request))
        replies.append(OldReply(id=number, error=answer.error, result=answer.result))
    return replies


async def _reply(engine: Engine, command: tuple[str, Request] | codes.Error) -> dict[str, Any]:
    if isinstance(command, codes.Error):
        return {"error": _refused("", command)}
    name, request = command
    answer = await _run(engine, name, request)
    return {"error": answer.error} if answer.error else {name: answer.result}


async def _run(engine: Engine, name: str, request: Request) -> Response:
    started = clock.monotonic_seconds()
    try:
        return Response(result=await METHODS[name].run(engine, request))
    except RefusedError as refusal:
        error = refusal.error
    except BrokerUnavailableError:
        error = codes.INTERNAL
    except Exception:
        _logger.exception("api_call_failed", method=name)
        error = codes.INTERNAL
    finally:
        metrics.API_SECONDS.labels(method=name).observe(clock.monotonic_seconds() - started)
    return Response(error=_refused(name, error))


def _refused(name: str, error: codes.Error) -> Error:
    note_refusal(name, error)
    return error_of(error)


def _command(fields: dict[str, Raw] | None) -> tuple[str, Request] | codes.Error:
    """Return the request that counts: the first known name, in the order of METHODS."""
    if fields is None:
        return codes.BAD_REQUEST
    for name in METHODS:
        if name in fields and bytes(fields[name]) != b"null":
            return name, _decode(name, bytes(fields[name]))
    return codes.METHOD_NOT_FOUND


def _old_command(text: bytes) -> tuple[int, str, Request | codes.Error]:
    try:
        command = msgspec.json.decode(text, type=_OldCommand)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MalformedBodyError from None
    name = (
        _NUMBERS.get(command.method, "")
        if isinstance(command.method, int)
        else command.method.lower()
    )
    if name not in METHODS:
        return command.id, name, codes.METHOD_NOT_FOUND
    try:
        # Nobody sends parameters with a method that takes none.
        return command.id, name, _decode(name, bytes(command.params) or b"{}")
    except MalformedBodyError:
        return command.id, name, codes.BAD_REQUEST


def _split(body: bytes) -> Sequence[bytes]:
    """Cut JSON texts apart that follow each other, with or without white space between them."""
    texts: list[bytes] = []
    try:
        rest, decoder, start = body.decode(), json.JSONDecoder(), 0
        while (start := _skip_space(rest, start)) < len(rest):
            _, end = decoder.raw_decode(rest, start)
            texts.append(rest[start:end].encode())
            start = end
    except (ValueError, RecursionError):
        raise MalformedBodyError from None
    return texts


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _decode(name: str, body: bytes) -> Request:
    try:
        return _decoders[name].decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _decode_again(body, METHODS[name].request)


def _decode_again(body: bytes, kind: type[Any]) -> Any:  # noqa: ANN401  # an instance of `kind`
    """Read a body whose nulls stand for absent fields, as some libraries send it."""
    try:
        return msgspec.json.decode(_without_nulls(body, _NULLS_MAX_DEPTH), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MalformedBodyError from None


def _without_nulls(text: bytes, depth: int) -> bytes:
    if depth == 0 or text[:1] not in (b"{", b"["):
        return text
    if text[:1] == b"[":
        return msgspec.json.encode(
            [Raw(_without_nulls(bytes(item), depth - 1)) for item in _decode_items(text)]
        )
    return msgspec.json.encode(
        {
            name: value if name in _DATA_FIELDS else Raw(_without_nulls(bytes(value), depth - 1))
            for name, value in _decode_fields(text).items()
            if name in _DATA_FIELDS or bytes(value) != b"null"
        }
    )
