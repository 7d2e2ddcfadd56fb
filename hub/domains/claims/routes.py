"""REST: claims of rings, and parting with a ring."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody

from core.db import Tx
from core.errors import DomainError
from hub.domains.claims import service
from hub.domains.claims.schemas import (
    AskGateway,
    Claimed,
    Proof,
    Released,
    RingClaim,
    StartClaim,
)
from hub.domains.claims.service import Secrets
from hub.domains.rings.schemas import Pressed
from hub.http.auth import limited, require_development
from hub.http.deps import acting_as, actor, resources
from hub.http.problems import documented
from hub.providers import virtual_rings
from hub.providers.keys import read_sun_master_key

_CLOSED: Final = ("ring.claim_not_found", "ring.claim_closed")


@post(
    "/ring-claims",
    opt=limited("claim"),
    tags=["rings"],
    responses=documented("ring.claim_refused"),
)
async def start_ring_claim(
    request: Request[Any, Any, Any], data: JSONBody[StartClaim]
) -> RingClaim:
    """Begin to claim the ring whose card carries the code; the same request has the same answer.

    A tag without keys is the caller's at once, and stays marked as not verified.
    """
    async with _as_claimer(request) as tx:
        return await service.start(tx, data, _secrets(request))


@get("/ring-claims/{claim_id:uuid}", tags=["rings"], responses=documented("ring.claim_not_found"))
async def get_ring_claim(request: Request[Any, Any, Any], claim_id: FromPath[UUID]) -> RingClaim:
    """Show how far one of one's claims is."""
    async with _as_claimer(request, read_only=True) as tx:
        return await service.get(tx, claim_id)


@post(
    "/ring-claims/{claim_id:uuid}/proof",
    opt=limited("claim"),
    tags=["rings"],
    status_code=200,
    responses=documented(*_CLOSED, "ring.claim_refused", "ring.proof_refused"),
)
async def prove_ring_claim(
    request: Request[Any, Any, Any], claim_id: FromPath[UUID], data: JSONBody[Proof]
) -> Claimed:
    """Prove to hold the ring, and own it; the same proof has the same answer."""
    async with _as_claimer(request) as tx:
        claimed = await service.prove(tx, claim_id, data, _secrets(request))
    if claimed is None:
        raise DomainError("ring.proof_refused")
    return claimed


@post(
    "/ring-claims/{claim_id:uuid}/gateway",
    opt=limited("gateway_calls"),
    tags=["rings"],
    status_code=202,
    responses=documented(*_CLOSED, "gateway.not_found", "gateway.offline"),
)
async def ask_gateway_for_proof(
    request: Request[Any, Any, Any], claim_id: FromPath[UUID], data: JSONBody[AskGateway]
) -> RingClaim:
    """Let one of one's gateways talk to the ring; press the ring within a few seconds.

    `ring.claimed` tells of success, `gateway_code` of the claim why it did not succeed. While a
    gateway tries, nothing more is asked of any.
    """
    async with _as_claimer(request) as tx:
        return await service.ask_gateway(tx, claim_id, data.gateway_id)


@post(
    "/rings/{ring_id:uuid}/release",
    tags=["rings"],
    status_code=200,
    responses=documented("ring.not_found", "ring.state_refused"),
)
async def release_ring(request: Request[Any, Any, Any], ring_id: FromPath[UUID]) -> Released:
    """Part with a ring: its history stays, the code is for its next owner."""
    async with _as_claimer(request) as tx:
        return await service.release(tx, ring_id, _secrets(request))


@post(
    "/development/ring-claims/{claim_id:uuid}/press",
    tags=["rings"],
    status_code=200,
    responses=documented("auth.development_only", *_CLOSED),
)
async def press_claimed_ring(request: Request[Any, Any, Any], claim_id: FromPath[UUID]) -> Pressed:
    """Press the virtual ring that one claims; in development mode, from this machine."""
    require_development(request)
    async with _as_claimer(request, read_only=True) as tx:
        device_id = await service.find_pressable(tx, claim_id)
    address = resources(request).settings.development.rings_address
    answer = await virtual_rings.press(address, device_id)
    return Pressed(answer.boot, answer.seq)


def _as_claimer(
    request: Request[Any, Any, Any], *, read_only: bool = False
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction that may see unclaimed rings, with the signed-in user as its actor."""
    return acting_as(request, actor(request), over_all=True, read_only=read_only)


def _secrets(request: Request[Any, Any, Any]) -> Secrets:
    house = resources(request)
    return Secrets(house.cipher, house.index_key, read_sun_master_key(house.settings))


CLAIM_ROUTES: Final = [
    start_ring_claim,
    get_ring_claim,
    prove_ring_claim,
    ask_gateway_for_proof,
    release_ring,
    press_claimed_ring,
]
