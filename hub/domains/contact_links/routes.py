"""REST: who of one's contacts knows whom."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from core.db import Tx
from hub.domains.contact_links import service
from hub.domains.contact_links.schemas import Link, Mutual, PutLink
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/contacts/{contact_id:uuid}/links"
_LINK: Final = "/contacts/{contact_id:uuid}/links/{other_id:uuid}"
_ONE: Final = ("contact.not_found", "contact.merged")
# Not what being together counts: nobody's change fails because two have met.
_EDITED: Final = ("contact_id", "kind")


@get(_PATH, tags=["contacts"], responses=documented(*_ONE, "request.cursor_invalid"))
async def list_links(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Link]:
    """List whom of one's contacts a contact knows, the closest first."""
    async with reading(request) as tx:
        return await service.list_links(tx, contact_id, limit=limit, cursor=cursor)


@get(_LINK, tags=["contacts"], responses=documented(*_ONE, "contact.link_not_found"))
async def get_link(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], other_id: FromPath[UUID]
) -> Response[Link]:
    """Return how a contact knows another one."""
    async with reading(request) as tx:
        return tagged(await service.get_link(tx, contact_id, other_id), edited=_EDITED)


@put(
    _LINK,
    tags=["contacts"],
    responses=documented(
        *_ONE, "contact.link_to_itself", "contact.link_not_found", "request.precondition_failed"
    ),
)
async def put_link(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    other_id: FromPath[UUID],
    data: JSONBody[PutLink],
    if_match: IfMatch = None,
) -> Response[Link]:
    """Say how two contacts know each other: the same from both ends.

    With `If-Match` they know each other already.
    """

    async def effect(tx: Tx) -> Link:
        await service.put(tx, contact_id, other_id, data)
        return await service.get_link(tx, contact_id, other_id)

    return await change(
        request,
        if_match,
        present=lambda tx: service.get_link(tx, contact_id, other_id),
        effect=effect,
        edited=_EDITED,
    )


@delete(
    _LINK,
    tags=["contacts"],
    status_code=204,
    responses=documented(*_ONE, "contact.link_not_found"),
)
async def remove_link(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], other_id: FromPath[UUID]
) -> None:
    """Forget that two contacts know each other."""
    async with writing(request) as tx:
        await service.remove(tx, contact_id, other_id)


@get(
    "/contacts/{contact_id:uuid}/mutuals",
    tags=["contacts"],
    responses=documented(*_ONE, "request.cursor_invalid"),
)
async def list_mutuals(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    other: Annotated[UUID, QueryParameter(description="The other contact.")],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Mutual]:
    """List whom both of two contacts know; whom one of them knows is in its links."""
    async with reading(request) as tx:
        return await service.list_mutuals(tx, contact_id, other, limit=limit, cursor=cursor)


LINK_ROUTES: Final = [list_links, get_link, put_link, remove_link, list_mutuals]
