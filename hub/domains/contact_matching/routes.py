"""REST: which of one's contacts are users here."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, delete, post
from litestar.params import FromPath, JSONBody

from hub.domains.contact_matching import service
from hub.domains.contact_matching.schemas import LinkedUsers, LinkUsers
from hub.http.deps import keys_of, reading, writing
from hub.http.lookups import take_lookups
from hub.http.problems import documented


@post(
    "/contacts/link-users",
    tags=["contacts"],
    status_code=200,
    responses=documented("consent.missing", "limit.exceeded", "service.unavailable"),
)
async def link_users(request: Request[Any, Any, Any], data: JSONBody[LinkUsers]) -> LinkedUsers:
    """Find out who of one's contacts is a user here, where both sides consent to it.

    By their e-mail addresses and telephone numbers, each of which counts like one of
    POST /v1/contacts/match. It ends when either side withdraws the consent or blocks the other,
    and when whoever was found gives an address up or loses it to somebody else.
    """
    async with reading(request) as tx:
        addresses, left = await service.addresses_of(tx, data.contact_ids)
    if addresses:
        await take_lookups(request, len(addresses))
    async with writing(request) as tx:
        return await service.link(tx, keys_of(request), addresses, left)


@delete(
    "/contacts/{contact_id:uuid}/linked-user",
    tags=["contacts"],
    status_code=204,
    responses=documented("contact.not_found", "contact.merged"),
)
async def unlink_user(request: Request[Any, Any, Any], contact_id: FromPath[UUID]) -> None:
    """Forget which user a contact is."""
    async with writing(request) as tx:
        await service.unlink(tx, contact_id)


MATCHING_ROUTES: Final = [link_users, unlink_user]
