"""Reactions of claims to events."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec

from core.actor import Actor
from core.db import Tx, begin
from core.errors import DomainError
from core.ids import UserId
from firmware_bridge import claim as ring_claim
from hub.domains.claims import service
from hub.domains.claims.events import ClaimAsked
from hub.domains.claims.schemas import BleProof, GatewayErrand
from hub.domains.claims.service import read_secrets
from hub.domains.events.schemas import Errand, Event
from hub.providers.gateway_rpc import GatewayRpc
from hub.providers.outside import Outside


class _Proved(msgspec.Struct, frozen=True):
    """What a gateway answers to `prove`."""

    ring_public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    boot: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    seq: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    tag: Annotated[
        bytes,
        msgspec.Meta(min_length=ring_claim.TAG_BYTES, max_length=ring_claim.TAG_BYTES),
    ]


async def ask_gateway(tx: Tx, event: Event) -> Errand | None:
    """Let a gateway fetch the proof of a claim, and bring the confirmation to the ring."""
    asked = msgspec.json.decode(event.payload, type=ClaimAsked, strict=False)
    wanted = await service.find_errand(tx, asked.claim_id)
    if wanted is None:
        return None

    async def errand(outside: Outside) -> None:
        rpc = GatewayRpc(outside.mqtt)

        async def call(method: str, **args: object) -> dict[str, Any]:
            return await rpc.call(asked.gateway_id, method, {"ring": wanted.device_id, **args})

        confirmation = wanted.confirmation
        try:
            if confirmation is None:
                answer = await call(
                    "prove", nonce=wanted.nonce, hub_public_key=wanted.hub_public_key
                )
                confirmation = await _submit(outside, wanted, answer)
            await call("confirm", tag=confirmation)
        except DomainError as error:
            if error.code == "service.unavailable":
                raise
            await _note(outside, wanted, error.code)
            if confirmation is not None:
                raise  # the ring is claimed: it is tried again until it has its keys
        else:
            await _note(outside, wanted, None)

    return errand


async def _submit(outside: Outside, wanted: GatewayErrand, answer: dict[str, Any]) -> bytes:
    """Prove the claim by what the gateway brought; return the confirmation."""
    try:
        proved = msgspec.convert(answer, _Proved)
    except msgspec.ValidationError:
        raise DomainError("gateway.call_failed") from None
    proof = BleProof(
        ring_public_key=proved.ring_public_key.hex(),
        boot=proved.boot,
        seq=proved.seq,
        tag=proved.tag.hex(),
    )
    secrets = read_secrets(outside.settings, outside.cipher())
    async with _as_claimer(outside, wanted) as tx:
        claimed = await service.prove(tx, wanted.claim_id, proof, secrets)
    if claimed is None or claimed.confirmation is None:
        raise DomainError("ring.proof_refused")
    return bytes.fromhex(claimed.confirmation)


async def _note(outside: Outside, wanted: GatewayErrand, code: str | None) -> None:
    async with _as_claimer(outside, wanted) as tx:
        await service.note_gateway(tx, wanted.claim_id, code)


def _as_claimer(outside: Outside, wanted: GatewayErrand) -> AbstractAsyncContextManager[Tx]:
    claimer = Actor(kind="user", user_id=UserId(wanted.user_id), endpoint="claims.ask_gateway")
    return begin(outside.system(), claimer)
