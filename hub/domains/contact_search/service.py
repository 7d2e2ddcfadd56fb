"""Lists of contacts, and the search; the actor's own ones only."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from core.crypto import Keys
from core.db import Tx
from core.errors import DomainError
from hub.domains.contact_sealing import service as sealing
from hub.domains.contact_search import queries
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import (
    ListedContact,
    Narrowed,
    Order,
    PlacedContact,
    Search,
    TagCount,
)
from hub.http import page

CONTACTS_LISTING: Final = "contacts"
SEARCH_LISTING: Final = "contact_search"
TAGS_LISTING: Final = "contact_tags"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_contacts(
    tx: Tx, narrowed: Narrowed, order: Order, *, limit: int, cursor: str | None
) -> page.Page[ListedContact]:
    """Return the actor's contacts in an order, without themselves and what was merged away."""
    listing = f"{CONTACTS_LISTING}.{order}"
    common = (
        narrowed.archived,
        narrowed.tag,
        narrowed.company,
        narrowed.source,
        narrowed.linked,
        limit + 1,
    )
    match order:
        case "recent":
            after = page.decode_cursor(cursor, listing, tuple[UUID])
            rows = await queries.list_recent.all(tx, *common, after[0] if after else None)
            return page.paginate(rows, limit, listing, lambda item: (item.id,))
        case "name":
            place = page.decode_cursor(cursor, listing, tuple[str, UUID])
            placed = await queries.list_by_name.all(tx, *common, *(place or (None, None)))
            found = page.paginate(placed, limit, listing, lambda item: (item.name_plain, item.id))
            listed = [_without_place(item) for item in found.items]
            return page.Page(listed, found.next_cursor, found.has_more)
        case "strength":
            weak = page.decode_cursor(cursor, listing, tuple[float, UUID])
            rows = await queries.list_by_strength.all(tx, *common, *(weak or (None, None)))
            return page.paginate(rows, limit, listing, lambda item: (item.strength, item.id))
        case "interaction":
            then = page.decode_cursor(cursor, listing, tuple[datetime, UUID])
            rows = await queries.list_by_interaction.all(tx, *common, *(then or (None, None)))
            return page.paginate(
                rows, limit, listing, lambda item: (item.last_interaction_at or _NEVER, item.id)
            )


async def search(tx: Tx, keys: Keys, asked: Search) -> page.Page[ListedContact]:
    """Return the actor's contacts with these words or this address, the newest first."""
    after = page.decode_cursor(asked.cursor, SEARCH_LISTING, tuple[UUID])
    before = after[0] if after else None
    if asked.text is not None and asked.address is None:
        rows = await queries.search.all(tx, asked.text, asked.archived, before, asked.limit + 1)
    elif asked.address is not None and asked.text is None:
        owner, kind = contacts.owner_of(tx, None), asked.address.kind
        region = await contacts.region_of(tx)
        hashes = sealing.method_hashes(keys, owner, kind, asked.address.value, region)
        rows = await queries.list_by_hashes.all(
            tx, kind, hashes, asked.archived, before, asked.limit + 1
        )
    else:
        problem = {"source": "body", "field": "text", "message": "One of text and address"}
        raise DomainError("request.invalid", errors=[problem])
    return page.paginate(rows, asked.limit, SEARCH_LISTING, lambda item: (item.id,))


async def list_tags(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[TagCount]:
    """Return the tags of the actor's contacts by the alphabet."""
    after = page.decode_cursor(cursor, TAGS_LISTING, tuple[str])
    rows = await queries.list_tags.all(tx, after[0] if after else None, limit + 1)
    return page.paginate(rows, limit, TAGS_LISTING, lambda item: (item.tag,))


def _without_place(item: PlacedContact) -> ListedContact:
    return ListedContact(*(getattr(item, name) for name in ListedContact.__struct_fields__))
