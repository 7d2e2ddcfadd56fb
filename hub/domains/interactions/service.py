"""Interactions: recorded once each, whoever tells of them; listed, found and noted by their owner.

`owner_id` names whose interactions are meant where the transaction is a system one; a user's own
transaction knows.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict, replace

from core import clock
from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from core.ids import new_id
from hub.domains.contacts import service as contacts
from hub.domains.contacts.service import Keys
from hub.domains.interaction_participants import service as participants
from hub.domains.interactions import queries, rules
from hub.domains.interactions.schemas import (
    ChangeInteraction,
    Hit,
    Hits,
    Interaction,
    InteractionDetail,
    InteractionFilter,
    InteractionTimeline,
    MatchedInteraction,
    Moment,
    NewInteraction,
    NewParticipant,
    StoredInteraction,
    Total,
    WriteInteraction,
)
from hub.http import page

INTERACTIONS_LISTING: Final = "interactions"
COUNTED_MAX: Final = 10_000
# People's clocks are not the hub's.
_AHEAD: Final = timedelta(minutes=5)
_FIRST_ID: Final = UUID(int=0)
_FIELDS: Final = Interaction.__struct_fields__
_WRITTEN: Final = tuple(
    name for name in WriteInteraction.__struct_fields__ if name != "occurred_at"
)


async def record(
    tx: Tx, new: NewInteraction, *, owner_id: UUID | None = None, keys: Keys | None = None
) -> UUID | None:
    """Record an interaction; return its id, or None if its source told of it before."""
    [made] = await record_many(tx, [new], owner_id=owner_id, keys=keys)
    return made


async def record_many(
    tx: Tx,
    items: Sequence[NewInteraction],
    *,
    owner_id: UUID | None = None,
    keys: Keys | None = None,
    region: str | None = None,
) -> list[UUID | None]:
    """Record interactions by one statement; return their ids in order, None for those known.

    `keys` where participants have addresses: they are sealed, and looked up in the address book.
    What is no address is left out. `region`: whose rules telephone numbers without `+` follow.
    """
    owner = contacts.owner_of(tx, owner_id)
    if any(item.participants for item in items):
        items = await _with_contacts(tx, owner, items, keys, region)
    named = {item.contact_id for item in items}
    named |= {who.contact_id for item in items for who in item.participants}
    if len(named - {None}) > 1:
        # Their foreign keys would lock them in the order of the rows, and a merge by id.
        await contacts.hold(tx, [one for one in named if one is not None], owner_id=owner)
    ids = [new_id() for _ in items]
    rows = [_row(one, item) for one, item in zip(ids, items, strict=True)]
    made = set(await queries.insert_interactions.all(tx, owner, msgspec.json.encode(rows)))
    told = {one: item.participants for one, item in zip(ids, items, strict=True) if one in made}
    await participants.add(tx, owner, told, keys, region)
    return [one if one in made else None for one in ids]


async def list_interactions(
    tx: Tx, wanted: InteractionFilter, *, limit: int, cursor: str | None, counted: bool
) -> InteractionTimeline:
    """Return the actor's interactions, the latest first; with `text`, those with these words."""
    if wanted.text is not None:
        found = await search(tx, wanted, limit=limit, cursor=cursor, counted=counted)
        items = [hit.interaction for hit in found.items]
        return InteractionTimeline(items, found.next_cursor, found.has_more, found.total)
    before = _place(cursor)
    wanted = _bounded(wanted)
    # An index is entered at one place.
    end = (wanted.until or rules.LATEST, _FIRST_ID)
    common = (
        contacts.owner_of(tx, None),
        *min(before or end, end),
        wanted.since or rules.EARLIEST,
        wanted.direction,
        limit + 1,
    )
    if wanted.contact_id is not None:
        rows = await queries.list_of_contact.all(tx, *common, wanted.kind, wanted.contact_id)
        if not rows:
            await contacts.find(tx, wanted.contact_id)
    elif wanted.kind is not None:
        rows = await queries.list_of_kind.all(tx, *common, wanted.kind)
    else:
        rows = await queries.list_interactions.all(tx, *common)
    cut = page.paginate(rows, limit, INTERACTIONS_LISTING, _position)
    total = await _count(tx, wanted) if counted else None
    return InteractionTimeline(cut.items, cut.next_cursor, cut.has_more, total)


async def search(
    tx: Tx, wanted: InteractionFilter, *, limit: int, cursor: str | None, counted: bool
) -> Hits:
    """Return the actor's interactions with the words of `wanted.text`, and where these stand."""
    before = _place(cursor)
    wanted = _bounded(wanted)
    chosen = (
        wanted.text,
        wanted.since,
        wanted.until,
        wanted.contact_id,
        wanted.kind,
        wanted.direction,
    )
    rows = await queries.search_interactions.all(
        tx, contacts.owner_of(tx, None), *chosen, *(before or (None, None)), limit + 1
    )
    if not rows and wanted.contact_id is not None:
        await contacts.find(tx, wanted.contact_id)
    cut = page.paginate(rows, limit, INTERACTIONS_LISTING, _position)
    total = None
    if counted:
        total = _total(await queries.count_found.one(tx, *chosen, COUNTED_MAX + 1))
    # Texts may be long, and others wait for this process.
    hits = await asyncio.to_thread(_hits, cut.items, rules.words_of(wanted.text or ""))
    return Hits(hits, cut.next_cursor, cut.has_more, total)


async def get_interaction(tx: Tx, interaction_id: UUID, cipher: FieldCipher) -> InteractionDetail:
    """Return one of the actor's interactions with its words, or raise interaction.not_found."""
    found = await _find(tx, interaction_id)
    return InteractionDetail(
        **{**asdict(found), "metadata": msgspec.json.decode(found.metadata)},
        participants=await participants.list_all(tx, interaction_id, cipher),
    )


async def write_interaction(
    tx: Tx, new: WriteInteraction, keys: Keys
) -> tuple[InteractionDetail, bool]:
    """Note down an interaction of the actor; return it, and whether it is new.

    With an `external_id` that was noted before it is that one, as it is by now. Raises
    contact.not_found or contact.merged for who is not in the address book, request.invalid for a
    time that is still to come or what is no address, auth.forbidden for a key that would write what
    it may not read.
    """
    noted = new.external_id and await queries.find_noted.first(tx, new.external_id)
    if noted:
        return await get_interaction(tx, noted, keys.cipher), False
    await _check_contacts(tx, [new.contact_id, *(who.contact_id for who in new.participants)])
    region = await participants.check(tx, new.participants, keys)
    now = clock.now()
    _check_past(new.occurred_at, now)
    told = NewInteraction(
        **{name: getattr(new, name) for name in _WRITTEN},
        occurred_at=new.occurred_at or now,
        source="manual",
    )
    [made] = await record_many(tx, [told], keys=keys, region=region)
    if made is not None:
        return await get_interaction(tx, made, keys.cipher), True
    # Somebody was faster, or it is private and a key asks.
    noted = await queries.find_noted.first(tx, new.external_id)
    if noted is None:
        raise DomainError("auth.forbidden")
    return await get_interaction(tx, noted, keys.cipher), False


async def change_interaction(
    tx: Tx, interaction_id: UUID, change: ChangeInteraction, keys: Keys
) -> InteractionDetail:
    """Change an interaction of the actor.

    What a source told stays as it was told, but whose it is and whether it is private. Raises as
    `write_interaction`, and interaction.not_found, interaction.not_manual.
    """
    present = await _find(tx, interaction_id)
    changed = {
        name: value
        for name in ChangeInteraction.__struct_fields__
        if (value := getattr(change, name)) is not UNSET
    }
    present_now: Sequence[NewParticipant] | None = changed.pop("participants", None)
    is_foreign = present.source != "manual"
    if is_foreign and (
        present_now is not None or not changed.keys() <= {"contact_id", "is_private"}
    ):
        raise DomainError("interaction.not_manual")
    await _check_contacts(
        tx, [changed.get("contact_id"), *(who.contact_id for who in present_now or ())]
    )
    _check_past(changed.get("occurred_at"), clock.now())
    after = replace(present, **changed)
    await queries.change_interaction.run(
        tx,
        interaction_id,
        after.contact_id,
        after.kind,
        after.direction,
        after.subject,
        after.content,
        after.summary,
        after.sentiment,
        after.occurred_at,
        after.duration_seconds,
        after.is_private,
    )
    if present_now is not None:
        await participants.replace_all(tx, interaction_id, present_now, keys)
    return await get_interaction(tx, interaction_id, keys.cipher)


async def remove_interaction(tx: Tx, interaction_id: UUID) -> None:
    """Take away what the actor noted down; raises interaction.not_found, interaction.not_manual.

    What a source told would come again when it is told again.
    """
    if (await _find(tx, interaction_id)).source != "manual":
        raise DomainError("interaction.not_manual")
    await queries.delete_interaction.run(tx, interaction_id)


async def _find(tx: Tx, interaction_id: UUID) -> StoredInteraction:
    found = await queries.find_interaction.first(tx, interaction_id)
    if found is None:
        raise DomainError("interaction.not_found")
    return found


async def _count(tx: Tx, wanted: InteractionFilter) -> Total:
    chosen = (
        contacts.owner_of(tx, None),
        wanted.since or rules.EARLIEST,
        wanted.until or rules.LATEST,
        wanted.direction,
        wanted.kind,
        COUNTED_MAX + 1,
    )
    if wanted.contact_id is None:
        return _total(await queries.count_interactions.one(tx, *chosen))
    return _total(await queries.count_of_contact.one(tx, *chosen, wanted.contact_id))


def _total(counted: int) -> Total:
    return Total(min(counted, COUNTED_MAX), is_capped=counted > COUNTED_MAX)


def _place(cursor: str | None) -> tuple[datetime, UUID] | None:
    found = page.decode_cursor(cursor, INTERACTIONS_LISTING, tuple[Moment, UUID])
    return found and (rules.clamped(found[0]), found[1])


def _position(item: Interaction) -> tuple[datetime, UUID]:
    return item.occurred_at, item.id


def _hits(rows: Sequence[MatchedInteraction], words: frozenset[str]) -> list[Hit]:
    return [
        Hit(
            Interaction(*(getattr(row, name) for name in _FIELDS)),
            [
                *rules.highlight("subject", row.subject, words),
                *rules.highlight("summary", row.summary, words),
                *rules.highlight("content", row.content, words),
            ],
        )
        for row in rows
    ]


def _bounded(wanted: InteractionFilter) -> InteractionFilter:
    times = {
        name: rules.clamped(moment)
        for name, moment in (("since", wanted.since), ("until", wanted.until))
        if moment is not None
    }
    return replace(wanted, **times)


def _check_past(occurred_at: datetime | None, now: datetime) -> None:
    if occurred_at is None:
        return
    if occurred_at > now + _AHEAD:
        raise _invalid("occurred_at", "That has not been yet")
    if occurred_at < rules.EARLIEST:
        raise _invalid("occurred_at", "There is no such year in every zone")


async def _check_contacts(tx: Tx, contact_ids: Iterable[UUID | None]) -> None:
    for contact_id in dict.fromkeys(contact_ids):
        if contact_id is not None:
            await contacts.find(tx, contact_id)


async def _with_contacts(
    tx: Tx,
    owner: UUID,
    items: Sequence[NewInteraction],
    keys: Keys | None,
    region: str | None,
) -> list[NewInteraction]:
    """Return interactions with the contacts of their participants, as far as they are known."""
    everybody = [who for item in items for who in item.participants]
    known = iter(await participants.known(tx, owner, everybody, keys, region))
    self_id = await queries.find_self.first(tx, owner)
    completed: list[NewInteraction] = []
    for item in items:
        present = [next(known) for _ in item.participants]
        senders = [who for who in present if who.role == "from"]
        # What somebody sent was with them, whoever else got it, and be they unknown.
        whom = senders if senders and item.direction == "inbound" else present
        others = (who.contact_id for who in whom if who.contact_id not in {None, self_id})
        contact_id = item.contact_id or next(others, None)
        completed.append(replace(item, contact_id=contact_id, participants=present))
    return completed


def _row(interaction_id: UUID, new: NewInteraction) -> dict[str, Any]:
    row = asdict(new)
    del row["participants"]
    return {**row, "id": interaction_id, "occurred_at": rules.clamped(new.occurred_at)}


def _invalid(field: str, message: str) -> DomainError:
    problem = {"source": "body", "field": field, "message": message}
    return DomainError("request.invalid", errors=[problem])
