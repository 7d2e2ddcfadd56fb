"""REST: how one's contacts are reached."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.contact_methods import service
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import ChangeMethod, Method, Methods, NewMethod
from hub.http.deps import keys_of, reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.problems import documented

_METHODS: Final = "/contacts/{contact_id:uuid}/methods"
_METHOD: Final = "/contacts/{contact_id:uuid}/methods/{method_id:uuid}"
_ONE: Final = ("contact.not_found", "contact.merged")


@get(_METHODS, tags=["contacts"], responses=documented(*_ONE))
async def list_methods(request: Request[Any, Any, Any], contact_id: FromPath[UUID]) -> Methods:
    """List how a contact is reached, by kind, the primary ones first."""
    async with reading(request) as tx:
        return Methods(await service.list_methods(tx, keys_of(request), contact_id))


@post(
    _METHODS,
    tags=["contacts"],
    responses={
        200: ResponseSpec(Method, description="The contact has it already, however written"),
        **documented(*_ONE, "contact.method_invalid", "contact.method_limit", *KEYED),
    },
)
async def add_method(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    data: JSONBody[NewMethod],
    idempotency_key: OptionalKey = None,
) -> Response[Method]:
    """Add an address to a contact: 201 new, 200 known."""

    async def effect(tx: Tx) -> Answer[Method]:
        region = await contacts.region_of(tx)
        added, is_new = await service.add_method(
            tx, keys_of(request), contact_id, data, region=region
        )
        location = f"/v1/contacts/{contact_id}/methods/{added.id}"
        return Answer(added, 201 if is_new else 200, location)

    return await once(request, idempotency_key, effect)


@get(_METHOD, tags=["contacts"], responses=documented(*_ONE, "contact.method_not_found"))
async def get_method(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], method_id: FromPath[UUID]
) -> Response[Method]:
    """Return an address of a contact."""
    async with reading(request) as tx:
        return tagged(await service.get_method(tx, keys_of(request), contact_id, method_id))


@patch(
    _METHOD,
    tags=["contacts"],
    responses=documented(*_ONE, "contact.method_not_found", "request.precondition_failed"),
)
async def change_method(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    method_id: FromPath[UUID],
    data: JSONBody[ChangeMethod],
    if_match: IfMatch = None,
) -> Response[Method]:
    """Name an address, or say whether it is the primary one of its kind."""
    keys = keys_of(request)
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_method(tx, keys, contact_id, method_id),
        effect=lambda tx: service.change_method(tx, keys, contact_id, method_id, data),
    )


@delete(
    _METHOD,
    tags=["contacts"],
    status_code=204,
    responses=documented(*_ONE, "contact.method_not_found"),
)
async def remove_method(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], method_id: FromPath[UUID]
) -> None:
    """Remove an address; another one of its kind becomes the primary one, if it was."""
    async with writing(request) as tx:
        await service.remove_method(tx, contact_id, method_id)


METHOD_ROUTES: Final = [list_methods, add_method, get_method, change_method, remove_method]
