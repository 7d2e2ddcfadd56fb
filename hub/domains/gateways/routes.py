"""REST: gateways, calls of them, and what the hub refused of them."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec.structs import replace

from core.db import Tx
from hub.domains.gateways import service
from hub.domains.gateways.schemas import (
    ChangeGateway,
    CodeShown,
    Collect,
    Collected,
    Done,
    Gateway,
    GatewayCreated,
    GatewayStatus,
    Identify,
    NewGateway,
    RejectedTap,
)
from hub.http.auth import limited
from hub.http.deps import reading, resources, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_EDITED: Final = ("name", "config", "config_rev", "revoked_at")
_CALLED: Final = (
    "gateway.not_found",
    "gateway.revoked",
    "gateway.offline",
    "gateway.busy",
    "gateway.timeout",
    "gateway.method_unknown",
    "gateway.call_failed",
    "gateway.call_refused",
)
_Status = Annotated[GatewayStatus | None, QueryParameter(description="Only those of this status.")]
_Alerting = Annotated[
    bool | None, QueryParameter(description="Only those with alerts, or only those without.")
]
_OfGateway = Annotated[
    UUID | None, QueryParameter(name="gateway_id", description="Only those of one gateway.")
]


@post(
    "/gateways",
    opt=limited("gateway_registration"),
    tags=["gateways"],
    responses=documented("gateway.name_taken", *KEYED),
)
async def create_gateway(
    request: Request[Any, Any, Any], data: JSONBody[NewGateway], idempotency_key: OptionalKey = None
) -> Response[GatewayCreated]:
    """Register a gateway; the answer holds the code with which a device claims it, once."""

    async def effect(tx: Tx) -> Answer[GatewayCreated]:
        made = await service.create_gateway(tx, data, resources(request).index_key)
        kept = replace(made, claim_code=None)
        return Answer(made, location=f"/v1/gateways/{made.id}", kept=kept)

    return await once(request, idempotency_key, effect)


@get("/gateways", tags=["gateways"], responses=documented("request.cursor_invalid"))
async def list_gateways(
    request: Request[Any, Any, Any],
    limit: Limit = 50,
    cursor: Cursor = None,
    status: _Status = None,
    alerting: _Alerting = None,
) -> Page[Gateway]:
    """List one's gateways but revoked ones, the newest first."""
    async with reading(request) as tx:
        return await service.list_gateways(
            tx, status=status, alerting=alerting, limit=limit, cursor=cursor
        )


@get("/gateways/{gateway_id:uuid}", tags=["gateways"], responses=documented("gateway.not_found"))
async def get_gateway(
    request: Request[Any, Any, Any], gateway_id: FromPath[UUID]
) -> Response[Gateway]:
    """Show one of one's gateways, revoked ones too."""
    async with reading(request) as tx:
        return tagged(await service.get_gateway(tx, gateway_id), edited=_EDITED)


@patch(
    "/gateways/{gateway_id:uuid}",
    tags=["gateways"],
    responses=documented(
        "gateway.not_found",
        "gateway.revoked",
        "gateway.name_taken",
        "gateway.revision_conflict",
        "request.precondition_failed",
    ),
)
async def change_gateway(
    request: Request[Any, Any, Any],
    gateway_id: FromPath[UUID],
    data: JSONBody[ChangeGateway],
    if_match: IfMatch = None,
) -> Response[Gateway]:
    """Rename or configure a gateway; a configuration replaces the one of revision `config_rev`."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_gateway(tx, gateway_id),
        effect=lambda tx: service.change_gateway(tx, gateway_id, data),
        edited=_EDITED,
    )


@delete("/gateways/{gateway_id:uuid}", tags=["gateways"], responses=documented("gateway.not_found"))
async def revoke_gateway(request: Request[Any, Any, Any], gateway_id: FromPath[UUID]) -> None:
    """Cast a gateway out for good: its certificates end at once. Again is harmless."""
    async with writing(request) as tx:
        await service.revoke_gateway(tx, gateway_id)


@post(
    "/gateways/{gateway_id:uuid}/credentials",
    tags=["gateways"],
    responses=documented("gateway.not_found", "gateway.revoked"),
)
async def create_gateway_code(
    request: Request[Any, Any, Any], gateway_id: FromPath[UUID]
) -> CodeShown:
    """Make a new claim code, for a device that takes the place of the present one."""
    async with writing(request) as tx:
        return await service.new_code(tx, gateway_id, resources(request).index_key)


@post(
    "/gateways/{gateway_id:uuid}/rpc/identify",
    tags=["gateways"],
    status_code=200,
    opt=limited("gateway_calls"),
    responses=documented("ring.not_found", "gateway.not_connected", *_CALLED),
)
async def identify_ring(
    request: Request[Any, Any, Any], gateway_id: FromPath[UUID], data: JSONBody[Identify]
) -> Done:
    """Let one of one's rings blink, over a gateway that it is connected to."""
    async with reading(request) as tx:
        await service.callable_gateway(tx, gateway_id)
        device_id = await service.device_of(tx, data.ring_id)
    await resources(request).gateway_rpc.call(gateway_id, "identify", {"ring": device_id})
    return Done()


@post(
    "/gateways/{gateway_id:uuid}/rpc/rescan",
    tags=["gateways"],
    status_code=200,
    opt=limited("gateway_calls"),
    responses=documented(*_CALLED),
)
async def rescan_gateway(request: Request[Any, Any, Any], gateway_id: FromPath[UUID]) -> Done:
    """Let a gateway begin its scans anew."""
    async with reading(request) as tx:
        await service.callable_gateway(tx, gateway_id)
    await resources(request).gateway_rpc.call(gateway_id, "rescan", {})
    return Done()


@post(
    "/gateways/{gateway_id:uuid}/rpc/collect",
    tags=["gateways"],
    status_code=200,
    opt=limited("gateway_calls"),
    responses=documented(*_CALLED),
)
async def collect_gateway_log(
    request: Request[Any, Any, Any], gateway_id: FromPath[UUID], data: JSONBody[Collect]
) -> Collected:
    """Fetch the latest log lines of a gateway."""
    async with reading(request) as tx:
        await service.callable_gateway(tx, gateway_id)
    rpc = resources(request).gateway_rpc
    return service.collected(await rpc.call(gateway_id, "collect", {"lines": data.lines}))


@get("/rejected-taps", tags=["gateways"], responses=documented("request.cursor_invalid"))
async def list_rejected_taps(
    request: Request[Any, Any, Any],
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway_id: _OfGateway = None,
) -> Page[RejectedTap]:
    """List what the hub refused of one's gateways, the newest first."""
    async with reading(request) as tx:
        return await service.list_rejected(tx, gateway_id=gateway_id, limit=limit, cursor=cursor)


GATEWAY_ROUTES: Final = [
    create_gateway,
    list_gateways,
    get_gateway,
    change_gateway,
    revoke_gateway,
    create_gateway_code,
    identify_ring,
    rescan_gateway,
    collect_gateway_log,
    list_rejected_taps,
]
