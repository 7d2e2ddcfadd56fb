"""Two contacts that are one person: suggested, merged in one transaction, and undone in one.

The merged contact's row stays, hidden, with all its values: what the kept one took from it is
taken back by comparing the two. What changed since the merge stays changed. What came later into
the same contact is taken out of it first and put back after that: any order of undoing will do.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.crypto import Keys
from core.db import Tx
from core.errors import DomainError
from hub.domains.contact_merges import queries, rules
from hub.domains.contact_merges.schemas import (
    Candidate,
    Merge,
    MergeRecord,
    MergeRow,
    Reason,
    Side,
    Suggestion,
)
from hub.domains.contact_moving.schemas import Mover
from hub.domains.contact_sealing import service as sealing
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import ContactRow
from hub.http import page

MERGES_LISTING: Final = "contact_merges"
SUGGESTIONS_LISTING: Final = "contact_merge_suggestions"
_SHARED_BY_MOST: Final = 10
"""An address or name of more contacts than that says nothing of two of them."""
_COMPARED_MOST: Final = 5000
# Of these no key counts those that it does not see.
_PERHAPS_PRIVATE: Final = frozenset({"interactions", "interaction_participants"})


class _Keyed(msgspec.Struct):
    """What is needed of what a mover keeps beside keys."""

    keys: list[Any]


async def suggest(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Suggestion]:
    """Return pairs of the actor's contacts that seem to be one person, the likeliest first."""
    after = page.decode_cursor(cursor, SUGGESTIONS_LISTING, tuple[float, UUID, UUID])
    pairs = await queries.list_candidates.all(tx, _SHARED_BY_MOST, _COMPARED_MOST)
    scored = [(pair, *rules.score(pair)) for pair in pairs]
    found = [
        _suggestion(pair, score, reasons)
        for pair, score, reasons in scored
        if score >= rules.SUGGESTED_FROM
    ]
    found.sort(key=_place)
    if after is not None:
        last = (-after[0], after[1], after[2])
        found = [item for item in found if _place(item) > last]
    return page.paginate(
        found[: limit + 1],
        limit,
        SUGGESTIONS_LISTING,
        lambda item: (item.score, item.one.contact_id, item.other.contact_id),
    )


async def distinguish(tx: Tx, one_id: UUID, other_id: UUID) -> None:
    """Never suggest again that two contacts are one; raises contact.not_found."""
    if one_id == other_id:
        raise DomainError("contact.merge_with_itself")
    for each in (one_id, other_id):
        await contacts.find(tx, each)
    await queries.distinguish.run(tx, one_id, other_id)


async def forget_distinction(tx: Tx, one_id: UUID, other_id: UUID) -> None:
    """Let two contacts be suggested as one again; harmless where they are not told apart."""
    for each in (one_id, other_id):
        await contacts.find(tx, each)
    await queries.forget_distinction.run(tx, one_id, other_id)


async def merge(
    tx: Tx, keys: Keys, kept_id: UUID, merged_id: UUID, movers: Sequence[Mover]
) -> Merge:
    """Give all that a contact has to another one, and hide it.

    Raises contact.not_found, contact.merged, contact.self, contact.merge_with_itself.
    """
    if kept_id == merged_id:
        raise DomainError("contact.merge_with_itself")
    for mover in movers:
        if mover.hold is not None:
            await mover.hold(tx)
    kept, merged = await _locked(tx, kept_id, merged_id)
    if merged.is_self:
        raise DomainError("contact.self")
    record = await _take(tx, keys, kept, merged, movers)
    await queries.mark_merged.run(tx, merged_id, kept_id)
    merge_id = await queries.insert_merge.one(tx, kept_id, merged_id, msgspec.json.encode(record))
    return await get_merge(tx, merge_id)


async def undo(tx: Tx, keys: Keys, merge_id: UUID, movers: Sequence[Mover]) -> Merge:
    """Give back what a merge moved, as far as it is still there; again is harmless.

    Raises contact.merge_not_found, and contact.merge_superseded where the kept contact was merged
    into another one since.
    """
    row = await _row(tx, merge_id)
    later = await queries.list_later.all(tx, row.kept_id, merge_id)
    await contacts.hold(tx, [row.kept_id, row.merged_id, *(each.merged_id for each in later)])
    row = await _row(tx, merge_id)
    if row.undone_at is not None:
        return _shown(tx, row)
    before = await contacts.find_row(tx, row.kept_id)
    if before.merged_into_id is not None:
        raise DomainError("contact.merge_superseded")
    later = await queries.list_later.all(tx, row.kept_id, merge_id)
    meeting = [mover for mover in movers if mover.can_meet]
    for each in reversed(later):
        await _give_back(tx, keys, each, meeting)
    await _give_back(tx, keys, row, movers)
    after = await contacts.find_row(tx, row.kept_id)
    for each in later:
        await _take_again(tx, keys, each, (before, after), meeting)
    await queries.mark_undone.run(tx, merge_id)
    return await get_merge(tx, merge_id)


async def get_merge(tx: Tx, merge_id: UUID) -> Merge:
    """Return a merge of the actor, undone or not; raises contact.merge_not_found."""
    return _shown(tx, await _row(tx, merge_id))


async def list_merges(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Merge]:
    """Return the actor's merges, the latest first."""
    after = page.decode_cursor(cursor, MERGES_LISTING, tuple[UUID])
    rows = await queries.list_merges.all(tx, after[0] if after else None, limit + 1)
    shown = [_shown(tx, row) for row in rows]
    return page.paginate(shown, limit, MERGES_LISTING, lambda item: (item.id,))


async def _locked(tx: Tx, kept_id: UUID, merged_id: UUID) -> tuple[ContactRow, ContactRow]:
    await contacts.hold_with_rows(tx, [kept_id, merged_id])
    return await contacts.find(tx, kept_id), await contacts.find(tx, merged_id)


async def _take(
    tx: Tx, keys: Keys, kept: ContactRow, merged: ContactRow, movers: Sequence[Mover]
) -> MergeRecord:
    """Give the kept contact what it takes of the other one; return what was done."""
    mine, theirs = (sealing.open_notes(keys, row.id, row.notes) for row in (kept, merged))
    notes, how = rules.noted(mine, theirs)
    filled, record = rules.fill(kept, merged, how)
    await _write(tx, filled if notes == mine else _with_notes(keys, filled, notes))
    moved = {mover.name: await mover.move(tx, merged.id, kept.id) for mover in movers}
    return replace(record, moved=moved)


async def _give_back(tx: Tx, keys: Keys, row: MergeRow, movers: Sequence[Mover]) -> None:
    """Take back what a merge did; both contacts stand beside each other then."""
    record = msgspec.json.decode(row.record, type=MergeRecord)
    kept = await contacts.find_row(tx, row.kept_id)
    merged = await contacts.find_row(tx, row.merged_id)
    await queries.mark_separate.run(tx, row.merged_id, record.was_archived)
    for mover in reversed(movers):
        if mover.name in record.moved:
            await mover.undo(tx, row.merged_id, row.kept_id, record.moved[mover.name])
    now, theirs = (sealing.open_notes(keys, each.id, each.notes) for each in (kept, merged))
    notes = rules.unnoted(now, theirs, record.notes)
    unfilled = rules.unfill(kept, merged, record)
    await _write(tx, unfilled if notes == now else _with_notes(keys, unfilled, notes))


async def _take_again(
    tx: Tx,
    keys: Keys,
    row: MergeRow,
    changed: tuple[ContactRow, ContactRow],
    movers: Sequence[Mover],
) -> None:
    """Do a merge once more that was taken back for the sake of an earlier one."""
    former = msgspec.json.decode(row.record, type=MergeRecord)
    kept = await contacts.find_row(tx, row.kept_id)
    merged = await contacts.find_row(tx, row.merged_id)
    before, after = changed
    taken = rules.retaken(merged, before, after)
    if sealing.open_notes(keys, kept.id, before.notes) == sealing.open_notes(
        keys, kept.id, after.notes
    ):
        taken = replace(taken, notes=None)
    record = await _take(tx, keys, kept, taken, movers)
    await queries.mark_merged.run(tx, row.merged_id, row.kept_id)
    record = replace(record, was_archived=former.was_archived, moved=former.moved | record.moved)
    await queries.rewrite_record.run(tx, row.id, msgspec.json.encode(record))


async def _row(tx: Tx, merge_id: UUID) -> MergeRow:
    row = await queries.find_merge.first(tx, merge_id)
    if row is None:
        raise DomainError("contact.merge_not_found")
    return row


def _with_notes(keys: Keys, row: ContactRow, notes: str | None) -> ContactRow:
    return replace(row, notes=sealing.seal_notes(keys, row.id, notes))


async def _write(tx: Tx, kept: ContactRow) -> None:
    values: list[Any] = [getattr(kept, name) for name in rules.WRITTEN]
    await queries.write_kept.run(tx, kept.id, *values)


def _shown(tx: Tx, row: MergeRow) -> Merge:
    record = msgspec.json.decode(row.record, type=MergeRecord)
    return Merge(
        id=row.id,
        kept_id=row.kept_id,
        merged_id=row.merged_id,
        filled=record.filled,
        moved={
            name: _amount(moved)
            for name, moved in record.moved.items()
            if tx.actor.kind != "api_key" or name not in _PERHAPS_PRIVATE
        },
        undone_at=row.undone_at,
        created_at=row.created_at,
    )


def _amount(moved: msgspec.Raw) -> int:
    """Return how many rows moved: a mover keeps their keys, alone or as `keys`."""
    kept = msgspec.json.decode(moved, type=list[Any] | _Keyed)
    return len(kept.keys if isinstance(kept, _Keyed) else kept)


def _suggestion(pair: Candidate, score: float, reasons: list[Reason]) -> Suggestion:
    one = Side(pair.one_id, pair.one_name, pair.one_company, pair.one_job_title)
    other = Side(pair.other_id, pair.other_name, pair.other_company, pair.other_job_title)
    if len(pair.other_words) > len(pair.one_words):
        one, other = other, one
    return Suggestion(one, other, score, reasons)


def _place(item: Suggestion) -> tuple[float, UUID, UUID]:
    return -item.score, item.one.contact_id, item.other.contact_id
