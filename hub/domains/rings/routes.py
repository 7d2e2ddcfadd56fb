"""REST: rings and taps."""

import re
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from core.db import Tx
from core.errors import DomainError
from core.ids import new_token
from hub.domains.rings import service
from hub.domains.rings.schemas import Pressed, RenameRing, RevokeRing, Ring, SunTapped, Tap
from hub.http import human_page
from hub.http.auth import PUBLIC, require_development
from hub.http.deps import WRITES, as_system, reading, resources
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented
from hub.providers import virtual_rings
from hub.providers.keys import read_sun_master_key

_TAP_COOKIE: Final = "ping_tap"
_TAP_COOKIE_SECONDS: Final = 3600
_TAP_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TAP_TEXTS: Final = {
    "recorded": ("Tap received", "The ring's owner has been told. You can close this page."),
    "tap.refused": ("This tap does not count", "Hold the ring to your phone again."),
    "tap.already_used": ("This link was used before", "Hold the ring to your phone again."),
}
_EDITED: Final = ("label", "status")


@get("/rings", tags=["rings"], responses=documented("request.cursor_invalid"))
async def list_rings(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Ring]:
    """List one's rings, the newest first."""
    async with reading(request) as tx:
        return await service.list_rings(tx, limit=limit, cursor=cursor)


@get("/rings/{ring_id:uuid}", tags=["rings"], responses=documented("ring.not_found"))
async def get_ring(request: Request[Any, Any, Any], ring_id: FromPath[UUID]) -> Response[Ring]:
    """Return one of one's rings."""
    async with reading(request) as tx:
        return tagged(await service.get_ring(tx, ring_id), edited=_EDITED)


@patch(
    "/rings/{ring_id:uuid}",
    tags=["rings"],
    responses=documented("ring.not_found", "request.precondition_failed"),
)
async def rename_ring(
    request: Request[Any, Any, Any],
    ring_id: FromPath[UUID],
    data: JSONBody[RenameRing],
    if_match: IfMatch = None,
) -> Response[Ring]:
    """Give one of one's rings another label."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_ring(tx, ring_id),
        effect=lambda tx: service.rename_ring(tx, ring_id, data.label),
        edited=_EDITED,
    )


@post(
    "/rings/{ring_id:uuid}/lost",
    tags=["rings"],
    status_code=200,
    responses=documented("ring.not_found", "ring.state_refused", *KEYED),
)
async def report_ring_lost(
    request: Request[Any, Any, Any], ring_id: FromPath[UUID], idempotency_key: OptionalKey = None
) -> Response[Ring]:
    """Report one of one's rings as lost: its taps are refused from now on."""

    async def effect(tx: Tx) -> Answer[Ring]:
        return Answer(await service.report_lost(tx, ring_id), 200)

    return await once(request, idempotency_key, effect)


@post(
    "/rings/{ring_id:uuid}/found",
    tags=["rings"],
    status_code=200,
    responses=documented("ring.not_found", "ring.state_refused", *KEYED),
)
async def report_ring_found(
    request: Request[Any, Any, Any], ring_id: FromPath[UUID], idempotency_key: OptionalKey = None
) -> Response[Ring]:
    """Say that a lost ring is there again: its taps count from now on."""

    async def effect(tx: Tx) -> Answer[Ring]:
        return Answer(await service.report_found(tx, ring_id), 200)

    return await once(request, idempotency_key, effect)


@post(
    "/rings/{ring_id:uuid}/revoke",
    tags=["rings"],
    status_code=200,
    responses=documented("ring.not_found", "ring.state_refused", *KEYED),
)
async def revoke_ring(
    request: Request[Any, Any, Any],
    ring_id: FromPath[UUID],
    data: JSONBody[RevokeRing],
    idempotency_key: OptionalKey = None,
) -> Response[Ring]:
    """Cast one of one's rings out for good: nobody can ever use it again."""
    del data  # it says only that the owner means it

    async def effect(tx: Tx) -> Answer[Ring]:
        return Answer(await service.revoke_ring(tx, ring_id), 200)

    return await once(request, idempotency_key, effect)


@get("/rings/taps", tags=["rings"], responses=documented("request.cursor_invalid"))
async def list_taps(
    request: Request[Any, Any, Any],
    ring_id: Annotated[UUID | None, QueryParameter(description="Only taps of this ring.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Tap]:
    """List the taps of one's rings, the newest first."""
    async with reading(request) as tx:
        return await service.list_taps(tx, ring_id=ring_id, limit=limit, cursor=cursor)


@post(
    "/development/rings/{ring_id:uuid}/tap",
    tags=["rings"],
    status_code=200,
    responses=documented("auth.development_only", "ring.not_found"),
)
async def tap_virtual_ring(request: Request[Any, Any, Any], ring_id: FromPath[UUID]) -> Pressed:
    """Press one of one's virtual rings; in development mode, from this machine."""
    require_development(request)
    async with reading(request) as tx:
        device_id = await service.find_device(tx, ring_id)
    address = resources(request).settings.development.rings_address
    answer = await virtual_rings.press(address, device_id)
    return Pressed(answer.boot, answer.seq)


@get(
    "/t",
    summary="Open SUN link",
    opt={**PUBLIC, "page": True, **WRITES},
    security=[{}],
    tags=["rings"],
    responses=documented("tap.refused", "tap.already_used"),
)
async def open_sun_link(request: Request[Any, Any, Any]) -> Response[SunTapped]:
    """Record the tap of a ring's NFC link; a page for people, JSON for `Accept: application/json`.

    Opening the same link again within a minute in the same browser shows the same answer.
    """
    house = resources(request)
    session = request.cookies.get(_TAP_COOKIE, "")
    if not _TAP_SESSION.fullmatch(session):
        session = new_token()
    try:
        query = request.scope["query_string"].decode("latin-1")
        tap = service.verify_sun(read_sun_master_key(house.settings), query)
        async with as_system(request) as tx:
            tapped = await service.record_sun_tap(
                tx,
                tap,
                index_key=house.index_key,
                cipher=house.cipher,
                session=session,
                query=query,
            )
    except DomainError as refusal:
        if refusal.code not in _TAP_TEXTS or human_page.prefers_json(request):
            raise
        return _tap_page(refusal.code, refusal.status)
    response = Response(tapped) if human_page.prefers_json(request) else _tap_page("recorded", 200)
    response.set_cookie(
        key=_TAP_COOKIE,
        value=session,
        path="/t",
        max_age=_TAP_COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=house.settings.server.public_url.startswith("https:"),
    )
    return response


def _tap_page(outcome: str, status: int) -> Response[Any]:
    title, text = _TAP_TEXTS[outcome]
    return human_page.page(title, text=text, status=status)


SUN_ROUTES: Final = [open_sun_link]
RING_ROUTES: Final = [
    list_rings,
    get_ring,
    rename_ring,
    report_ring_lost,
    report_ring_found,
    revoke_ring,
    list_taps,
    tap_virtual_ring,
]
