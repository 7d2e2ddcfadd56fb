"""REST: one's address book."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.contacts import service
from hub.domains.contacts.schemas import (
    ChangeContact,
    Contact,
    NewContact,
)
from hub.http.deps import keys_of, reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.problems import documented

_PATH: Final = "/contacts/{contact_id:uuid}"
_ONE: Final = ("contact.not_found", "contact.merged")
# Not what interactions count: nobody's change fails because somebody has rung.
_EDITED: Final = tuple(
    name
    for name in Contact.__struct_fields__
    if name not in {"strength", "last_interaction_at", "updated_at"}
)


@get("/contacts/self", tags=["contacts"], responses=documented("contact.not_found"))
async def get_self(request: Request[Any, Any, Any]) -> Response[Contact]:
    """Return the contact that one is oneself."""
    async with reading(request) as tx:
        return tagged(await service.get_self(tx, keys_of(request)), edited=_EDITED)


@post(
    "/contacts",
    tags=["contacts"],
    responses=documented("contact.method_invalid", *KEYED),
)
async def add_contact(
    request: Request[Any, Any, Any],
    data: JSONBody[NewContact],
    idempotency_key: OptionalKey = None,
) -> Response[Contact]:
    """Add a contact; that somebody has its address already is said by merge suggestions."""

    async def effect(tx: Tx) -> Answer[Contact]:
        region = await service.region_of(tx)
        added = await service.add_contact(tx, keys_of(request), data, region=region)
        return Answer(added, location=f"/v1/contacts/{added.id}")

    return await once(request, idempotency_key, effect)


@get(_PATH, tags=["contacts"], responses=documented(*_ONE))
async def get_contact(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID]
) -> Response[Contact]:
    """Return one of one's contacts, archived or not."""
    async with reading(request) as tx:
        found = await service.get_contact(tx, keys_of(request), contact_id)
    return tagged(found, edited=_EDITED)


@patch(_PATH, tags=["contacts"], responses=documented(*_ONE, "request.precondition_failed"))
async def change_contact(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    data: JSONBody[ChangeContact],
    if_match: IfMatch = None,
) -> Response[Contact]:
    """Change fields of a contact; null empties one."""
    keys = keys_of(request)
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_contact(tx, keys, contact_id),
        effect=lambda tx: service.change_contact(tx, keys, contact_id, data),
        edited=_EDITED,
    )


@delete(_PATH, tags=["contacts"], status_code=204, responses=documented(*_ONE, "contact.self"))
async def archive_contact(request: Request[Any, Any, Any], contact_id: FromPath[UUID]) -> None:
    """Archive a contact: it leaves the lists, and nothing of it is lost."""
    async with writing(request) as tx:
        await service.archive(tx, contact_id)


@post(f"{_PATH}/restore", tags=["contacts"], status_code=200, responses=documented(*_ONE))
async def restore_contact(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID]
) -> Response[Contact]:
    """Bring an archived contact back into the lists."""
    async with writing(request) as tx:
        await service.restore(tx, contact_id)
        return tagged(await service.get_contact(tx, keys_of(request), contact_id), edited=_EDITED)


CONTACT_ROUTES: Final = [
    get_self,
    add_contact,
    get_contact,
    change_contact,
    archive_contact,
    restore_contact,
]
