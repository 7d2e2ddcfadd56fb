"""What the hub may call: identify a ring, rescan, collect the latest log lines."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from bleak.exc import BleakError

from firmware_bridge import tap
from gateway.radio import Radio
from gateway.recent_log import LINES_MAX, RecentLog
from gateway.rpc import Method, RpcError


class _Identify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ring: bytes


class _Collect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lines: Annotated[int, msgspec.Meta(ge=1, le=LINES_MAX)] = LINES_MAX


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


_A = TypeVar("_A")


def methods_of(radio: Radio, recent: RecentLog) -> Mapping[str, Method]:
    """Return the methods by name."""

    async def identify(arguments: dict[str, Any]) -> dict[str, Any]:
        ring = _arguments(arguments, _Identify).ring
        if len(ring) != tap.RING_ID_BYTES:
            raise RpcError("malformed")
        connection = radio.connection_of(ring)
        if connection is None:
            raise RpcError("not_connected")
        try:
            await connection.identify()
        except (BleakError, OSError, EOFError):
            raise RpcError("failed") from None
        return {}

    async def rescan(arguments: dict[str, Any]) -> dict[str, Any]:
        _arguments(arguments, _Nothing)
        radio.rescan()
        return {}

    async def collect(arguments: dict[str, Any]) -> dict[str, Any]:
        wanted = _arguments(arguments, _Collect).lines
        return {"lines": recent.lines(wanted)}

    return {"identify": identify, "rescan": rescan, "collect": collect}


def _arguments(arguments: dict[str, Any], kind: type[_A]) -> _A:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError:
        raise RpcError("malformed") from None
