"""REST: how a device becomes a gateway, and the certificates of one's gateways."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody

from core.errors import DomainError
from hub.domains.certificates import service
from hub.domains.certificates.schemas import Certificate, ClaimedGateway, ClaimGateway
from hub.http.auth import limited
from hub.http.deps import as_system, reading, resources
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented


@post(
    "/gateways/claim",
    opt=limited("gateway_claim", public=True),
    security=[{}],
    tags=["gateways"],
    status_code=200,
    responses=documented(
        "gateway.claim_refused", "gateway.csr_invalid", "gateway.claims_unavailable"
    ),
)
async def claim_gateway(
    request: Request[Any, Any, Any], data: JSONBody[ClaimGateway]
) -> ClaimedGateway:
    """Become the gateway of a claim code; the code works for one key.

    The same code with the same key gets the same answer again while the code lives.
    """
    house = resources(request)
    pki = house.settings.pki
    if house.authority is None or not pki.gateway_mqtt_url:
        raise DomainError("gateway.claims_unavailable")
    async with as_system(request) as tx:
        return await service.claim(tx, house.authority, pki, data, house.index_key)


@get(
    "/gateways/{gateway_id:uuid}/certificates",
    tags=["gateways"],
    responses=documented("gateway.not_found", "request.cursor_invalid"),
)
async def list_gateway_certificates(
    request: Request[Any, Any, Any],
    gateway_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Certificate]:
    """List the certificates of one of one's gateways, the newest first."""
    async with reading(request) as tx:
        return await service.list_certificates(tx, gateway_id, limit=limit, cursor=cursor)


CERTIFICATE_ROUTES: Final = [claim_gateway, list_gateway_certificates]
