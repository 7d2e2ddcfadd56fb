"""REST: one's verified addresses, and who of one's contacts is here."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody

from hub.domains.identities import service
from hub.domains.identities.schemas import Identity, MatchContacts, Matches
from hub.http.auth import user_id_of
from hub.http.deps import reading, resources, writing
from hub.http.lookups import take_lookups
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented
from hub.http.recency import RECENT


@get("/me/identities", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_identities(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Identity]:
    """List the addresses one has verified, by kind and time; the hub does not know them."""
    async with reading(request) as tx:
        return await service.list_own(tx, limit=limit, cursor=cursor)


@get(
    "/me/identities/{identity_id:uuid}",
    tags=["accounts"],
    responses=documented("identity.not_found"),
)
async def get_identity(request: Request[Any, Any, Any], identity_id: FromPath[UUID]) -> Identity:
    """Return one of one's verified addresses."""
    async with reading(request) as tx:
        return await service.get_own(tx, identity_id)


@delete(
    "/me/identities/{identity_id:uuid}",
    opt=RECENT,
    tags=["accounts"],
    status_code=204,
    responses=documented("identity.not_found"),
)
async def remove_identity(request: Request[Any, Any, Any], identity_id: FromPath[UUID]) -> None:
    """Forget a verified address; the next sign-in with it brings it back."""
    async with writing(request) as tx:
        await service.remove_own(tx, identity_id)


@post(
    "/contacts/match",
    tags=["contacts"],
    status_code=200,
    responses=documented("consent.missing", "limit.exceeded", "service.unavailable"),
)
async def match_contacts(request: Request[Any, Any, Any], data: JSONBody[MatchContacts]) -> Matches:
    """Find users by addresses of one's contacts, where both sides consent to `contact_matching`.

    At most 500 addresses in any 24 hours, and 11000 from one IP address. Nothing that is asked is
    kept.
    """
    house = resources(request)
    async with reading(request) as tx:
        await service.require_consent(tx, user_id_of(request))
    await take_lookups(request, len(data.addresses))
    async with writing(request) as tx:
        return await service.match(tx, data, cipher=house.cipher, index_key=house.index_key)


IDENTITY_ROUTES: Final = [list_identities, get_identity, remove_identity, match_contacts]
