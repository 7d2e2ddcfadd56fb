"""REST: circles of closeness and their members."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.circles import service
from hub.domains.circles.schemas import (
    ChangeCircle,
    Circle,
    CircleMembership,
    Member,
    NewCircle,
    PutMember,
)
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/circles/{circle_id:uuid}"
_MEMBER: Final = f"{_PATH}/members/{{contact_id:uuid}}"


@get("/circles", tags=["circles"], responses=documented("request.cursor_invalid"))
async def list_circles(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Circle]:
    """List one's circles, the closest first."""
    async with reading(request) as tx:
        return await service.list_circles(tx, limit=limit, cursor=cursor)


@post(
    "/circles",
    tags=["circles"],
    responses=documented("circle.name_taken", "circle.limit", *KEYED),
)
async def add_circle(
    request: Request[Any, Any, Any], data: JSONBody[NewCircle], idempotency_key: OptionalKey = None
) -> Response[Circle]:
    """Make a circle: how close its members are, and how often contact with them is wanted."""

    async def effect(tx: Tx) -> Answer[Circle]:
        made = await service.add_circle(tx, data)
        return Answer(made, location=f"/v1/circles/{made.id}")

    return await once(request, idempotency_key, effect)


@get(_PATH, tags=["circles"], responses=documented("circle.not_found"))
async def get_circle(
    request: Request[Any, Any, Any], circle_id: FromPath[UUID]
) -> Response[Circle]:
    """Return a circle."""
    async with reading(request) as tx:
        return tagged(await service.get_circle(tx, circle_id))


@patch(
    _PATH,
    tags=["circles"],
    responses=documented("circle.not_found", "circle.name_taken", "request.precondition_failed"),
)
async def change_circle(
    request: Request[Any, Any, Any],
    circle_id: FromPath[UUID],
    data: JSONBody[ChangeCircle],
    if_match: IfMatch = None,
) -> Response[Circle]:
    """Change a circle; the health of its members follows its cadence within moments."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_circle(tx, circle_id),
        effect=lambda tx: service.change_circle(tx, circle_id, data),
    )


@delete(_PATH, tags=["circles"], responses=documented("circle.not_found"))
async def remove_circle(request: Request[Any, Any, Any], circle_id: FromPath[UUID]) -> None:
    """Remove a circle; its members stay in the address book and in their other circles."""
    async with writing(request) as tx:
        await service.remove_circle(tx, circle_id)


@get(
    f"{_PATH}/members",
    tags=["circles"],
    responses=documented("circle.not_found", "request.cursor_invalid"),
)
async def list_circle_members(
    request: Request[Any, Any, Any],
    circle_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Member]:
    """List who is in a circle."""
    async with reading(request) as tx:
        return await service.list_members(tx, circle_id, limit=limit, cursor=cursor)


@put(
    _MEMBER,
    tags=["circles"],
    status_code=204,
    responses=documented("circle.not_found", "contact.not_found", "contact.merged", "contact.self"),
)
async def put_circle_member(
    request: Request[Any, Any, Any],
    circle_id: FromPath[UUID],
    contact_id: FromPath[UUID],
    data: JSONBody[PutMember],
) -> None:
    """Put a contact into a circle, among others; the first one is its primary circle.

    With `is_primary` this circle takes that place from the one that has it; without, all stays.
    """
    async with writing(request) as tx:
        await service.put_member(tx, circle_id, contact_id, data)


@delete(
    _MEMBER,
    tags=["circles"],
    responses=documented("circle.not_found", "contact.not_found", "contact.merged"),
)
async def remove_circle_member(
    request: Request[Any, Any, Any], circle_id: FromPath[UUID], contact_id: FromPath[UUID]
) -> None:
    """Take a contact out of a circle; the closest of its others becomes the primary one."""
    async with writing(request) as tx:
        await service.remove_member(tx, circle_id, contact_id)


@get(
    "/contacts/{contact_id:uuid}/circles",
    tags=["circles"],
    responses=documented("contact.not_found", "contact.merged", "request.cursor_invalid"),
)
async def list_contact_circles(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CircleMembership]:
    """List which circles a contact is in."""
    async with reading(request) as tx:
        return await service.list_memberships(tx, contact_id, limit=limit, cursor=cursor)


CIRCLE_ROUTES: Final = [
    list_circles,
    add_circle,
    get_circle,
    change_circle,
    remove_circle,
    list_circle_members,
    put_circle_member,
    remove_circle_member,
    list_contact_circles,
]
