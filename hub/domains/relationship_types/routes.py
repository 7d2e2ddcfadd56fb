"""REST: kinds of relationships, and which of them one's contacts are of."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.relationship_types import service
from hub.domains.relationship_types.schemas import ChangeType, NewType, RelationshipType
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/relationship-types/{type_id:uuid}"
_OF_CONTACT: Final = "/contacts/{contact_id:uuid}/types"


@get("/relationship-types", tags=["relationships"], responses=documented("request.cursor_invalid"))
async def list_relationship_types(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[RelationshipType]:
    """List kinds of relationships: everybody's, and one's own."""
    async with reading(request) as tx:
        return await service.list_types(tx, limit=limit, cursor=cursor)


@post(
    "/relationship-types",
    tags=["relationships"],
    responses=documented(
        "relationship.type_weights",
        "relationship.type_name_taken",
        "relationship.type_limit",
        *KEYED,
    ),
)
async def add_relationship_type(
    request: Request[Any, Any, Any], data: JSONBody[NewType], idempotency_key: OptionalKey = None
) -> Response[RelationshipType]:
    """Add a kind of relationship of one's own; its weights share out 1."""

    async def effect(tx: Tx) -> Answer[RelationshipType]:
        made = await service.add_type(tx, data)
        return Answer(made, location=f"/v1/relationship-types/{made.id}")

    return await once(request, idempotency_key, effect)


@get(_PATH, tags=["relationships"], responses=documented("relationship.type_not_found"))
async def get_relationship_type(
    request: Request[Any, Any, Any], type_id: FromPath[UUID]
) -> Response[RelationshipType]:
    """Return a kind of relationship."""
    async with reading(request) as tx:
        return tagged(await service.get_type(tx, type_id))


@patch(
    _PATH,
    tags=["relationships"],
    responses=documented(
        "relationship.type_not_found",
        "relationship.type_builtin",
        "relationship.type_weights",
        "request.precondition_failed",
    ),
)
async def change_relationship_type(
    request: Request[Any, Any, Any],
    type_id: FromPath[UUID],
    data: JSONBody[ChangeType],
    if_match: IfMatch = None,
) -> Response[RelationshipType]:
    """Change one of one's own kinds; the health of its contacts follows within moments."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_type(tx, type_id),
        effect=lambda tx: service.change_type(tx, type_id, data),
    )


@delete(
    _PATH,
    tags=["relationships"],
    responses=documented("relationship.type_not_found", "relationship.type_builtin"),
)
async def remove_relationship_type(
    request: Request[Any, Any, Any], type_id: FromPath[UUID]
) -> None:
    """Remove one of one's own kinds, from contacts too."""
    async with writing(request) as tx:
        await service.remove_type(tx, type_id)


@get(
    _OF_CONTACT,
    tags=["relationships"],
    responses=documented("contact.not_found", "contact.merged", "request.cursor_invalid"),
)
async def list_contact_types(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RelationshipType]:
    """List of which kinds the relationship with a contact is."""
    async with reading(request) as tx:
        return await service.list_of_contact(tx, contact_id, limit=limit, cursor=cursor)


@put(
    f"{_OF_CONTACT}/{{type_id:uuid}}",
    tags=["relationships"],
    status_code=204,
    responses=documented(
        "contact.not_found", "contact.merged", "contact.self", "relationship.type_not_found"
    ),
)
async def put_contact_type(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], type_id: FromPath[UUID]
) -> None:
    """Say of which kind the relationship with a contact is; it may be of several."""
    async with writing(request) as tx:
        await service.put_on_contact(tx, contact_id, type_id)


@delete(
    f"{_OF_CONTACT}/{{type_id:uuid}}",
    tags=["relationships"],
    responses=documented("contact.not_found", "contact.merged", "relationship.type_not_found"),
)
async def remove_contact_type(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], type_id: FromPath[UUID]
) -> None:
    """Say that the relationship with a contact is not of a kind; again is harmless."""
    async with writing(request) as tx:
        await service.take_from_contact(tx, contact_id, type_id)


RELATIONSHIP_TYPE_ROUTES: Final = [
    list_relationship_types,
    add_relationship_type,
    get_relationship_type,
    change_relationship_type,
    remove_relationship_type,
    list_contact_types,
    put_contact_type,
    remove_contact_type,
]
