"""What the hub may call: identify a ring, take part in its claim, rescan, collect log lines."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from bleak.exc import BleakError

from firmware_bridge import claim, tap
from gateway import ring_claims
from gateway.connection import RingConnection
from gateway.radio import Radio
from gateway.recent_log import LINES_MAX, RecentLog
from gateway.rpc import Method, RpcError


class _Identify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ring: bytes


class _Prove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ring: bytes
    nonce: bytes
    hub_public_key: bytes


class _Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ring: bytes
    tag: Annotated[bytes, msgspec.Meta(min_length=claim.TAG_BYTES, max_length=claim.TAG_BYTES)]


class _Collect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lines: Annotated[int, msgspec.Meta(ge=1, le=LINES_MAX)] = LINES_MAX


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


_A = TypeVar("_A")


def methods_of(radio: Radio, recent: RecentLog) -> Mapping[str, Method]:
    """Return the methods by name."""

    async def identify(arguments: dict[str, Any]) -> dict[str, Any]:
        connection = _connection(radio, _arguments(arguments, _Identify).ring)
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

    return {
        "identify": identify,
        "rescan": rescan,
        "collect": collect,
        **_claim_methods(radio),
    }


def _claim_methods(radio: Radio) -> Mapping[str, Method]:
    async def prove(arguments: dict[str, Any]) -> dict[str, Any]:
        asked = _arguments(arguments, _Prove)
        challenge = claim.Challenge(nonce=asked.nonce, hub_public_key=asked.hub_public_key)
        try:
            claim.encode_challenge(challenge)
        except claim.ClaimError:
            raise RpcError("malformed") from None
        connection = _connection(radio, asked.ring)
        try:
            proof = await ring_claims.prove(connection, challenge)
        except (BleakError, OSError, EOFError):
            raise RpcError("failed") from None
        return msgspec.structs.asdict(proof)

    async def confirm(arguments: dict[str, Any]) -> dict[str, Any]:
        asked = _arguments(arguments, _Confirm)
        # Kept first: a ring that is away gets it when it comes.
        radio.confirmations.put(asked.ring, asked.tag)
        connection = _connection(radio, asked.ring)
        try:
            is_taken = await connection.confirm(asked.tag)
        except (BleakError, OSError, EOFError):
            raise RpcError("failed") from None
        if not is_taken:
            raise RpcError("failed")
        return {}

    return {"prove": prove, "confirm": confirm}


def _connection(radio: Radio, ring: bytes) -> RingConnection:
    if len(ring) != tap.RING_ID_BYTES:
        raise RpcError("malformed")
    connection = radio.connection_of(ring)
    if connection is None:
        raise RpcError("not_connected")
    return connection


def _arguments(arguments: dict[str, Any], kind: type[_A]) -> _A:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError:
        raise RpcError("malformed") from None
