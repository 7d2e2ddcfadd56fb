"""The control port of the virtual rings: one JSON line asks, one answers."""

import asyncio
from typing import Final

import msgspec

from core.db import assert_no_transaction
from core.errors import DomainError

_DEADLINE_SECONDS: Final = 3.0
_ANSWER_MAX_BYTES: Final = 4096


class Press(msgspec.Struct, frozen=True):
    """Asks a ring to be pressed."""

    press: str
    kind: str = "tap_to_phone"


class PressAnswer(msgspec.Struct, frozen=True):
    """What the ring counted, or why it did not."""

    ok: bool
    boot: int = 0
    seq: int = 0
    error: str = ""


async def press(address: str, device_id: bytes) -> PressAnswer:
    """Press the virtual ring with this device id, or raise service.unavailable."""
    assert_no_transaction()
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise DomainError("service.unavailable", "No virtual rings are running here.")
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            line = await _ask(host, int(port), msgspec.json.encode(Press(device_id.hex())))
        answer = msgspec.json.decode(line, type=PressAnswer)
    except (OSError, TimeoutError, ValueError, msgspec.MsgspecError):
        raise DomainError("service.unavailable", "The virtual rings do not answer.") from None
    if not answer.ok:
        raise DomainError("ring.not_found", "This ring is not one of the virtual rings.")
    return answer


async def _ask(host: str, port: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, limit=_ANSWER_MAX_BYTES)
    try:
        writer.write(question + b"\n")
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
