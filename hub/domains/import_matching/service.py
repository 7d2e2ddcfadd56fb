"""Which entries of a file are in the address book already, and which stand in it twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct, structs

from core.db import Tx
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import MethodKind, NewContact
from hub.domains.contacts.service import Keys
from hub.domains.import_matching import queries, rules
from hub.domains.imports.formats.found import FoundInteraction, FoundParticipant, RowProblem


class Outcome(Struct, frozen=True, kw_only=True):
    """What becomes of an entry; "new" is what may be brought in."""

    status: Literal["new", "known", "skipped"]
    found: NewContact | FoundInteraction
    problems: tuple[RowProblem, ...] = ()
    contact_id: UUID | None = None
    interaction_id: UUID | None = None


class Book(Struct, frozen=True):
    """Whose address book it is, and what an import has met in its file so far."""

    owner_id: UUID
    keys: Keys
    region: str | None
    seen: set[bytes | rules.Mark]


async def lock_book(tx: Tx, owner_id: UUID) -> None:
    """Let no other import of a user be brought in before this system transaction ends."""
    await queries.lock_book.run(tx, owner_id)


def content_index(keys: Keys, owner_id: UUID, found: NewContact | FoundInteraction) -> bytes:
    """Return what the same entry of the same user has in common, however often it comes."""
    return rules.content_index(keys.index_key, owner_id, found)


async def outcomes(
    tx: Tx, book: Book, entries: Sequence[NewContact | FoundInteraction], now: datetime
) -> list[Outcome]:
    """Return what becomes of entries, in their order. Needs a system transaction."""
    known = await _known_contents(tx, book, entries)
    people = [(at, item) for at, item in enumerate(entries) if isinstance(item, NewContact)]
    made: dict[int, Outcome] = {}
    cleaned = [(at, *_addressed(book, item)) for at, item in people]
    namesakes = await _namesakes(tx, book, [(at, item, forms) for at, item, forms, _ in cleaned])
    namesakes |= await _unaddressed(
        tx, book, [(at, item) for at, item, forms, _ in cleaned if not forms]
    )
    for at, item, forms, problems in cleaned:
        made[at] = _of_contact(book, item, forms, problems, namesakes.get(at))
    talks = [(at, item) for at, item in enumerate(entries) if isinstance(item, FoundInteraction)]
    made |= dict(zip((at for at, _ in talks), await _talks(tx, book, talks, now), strict=True))
    result: list[Outcome] = []
    for at, item in enumerate(entries):
        content = rules.content_index(book.keys.index_key, book.owner_id, item)
        if at in known:
            contact_id, interaction_id = known[at]
            outcome = structs.replace(
                made[at], status="known", contact_id=contact_id, interaction_id=interaction_id
            )
        elif content in book.seen and made[at].status == "new":
            outcome = structs.replace(made[at], status="known")
        else:
            outcome = made[at]
        book.seen.add(content)
        result.append(outcome)
    return result


async def _known_contents(
    tx: Tx, book: Book, entries: Sequence[NewContact | FoundInteraction]
) -> dict[int, tuple[UUID | None, UUID | None]]:
    positions: list[int] = []
    hashes: list[bytes] = []
    for at, item in enumerate(entries):
        index = rules.content_index(book.keys.index_key, book.owner_id, item)
        live = book.keys.cipher.indexes.live(index)
        positions += [at] * len(live)
        hashes += live
    rows = await queries.find_contents.all(tx, book.owner_id, positions, hashes)
    return {row.position: (row.contact_id, row.interaction_id) for row in rows}


Forms = list[tuple[MethodKind, str, list[bytes]]]
"""Kind and value of each address, and the forms in which its blind index may be stored."""


def _addressed(book: Book, item: NewContact) -> tuple[NewContact, Forms, tuple[RowProblem, ...]]:
    """Return a contact with what of its addresses are addresses, and their blind indexes."""
    methods = [
        (
            method,
            contacts.sealing.method_hashes(
                book.keys, book.owner_id, method.kind, method.value, book.region
            ),
        )
        for method in item.methods
    ]
    kept = [method for method, forms in methods if forms]
    problems = tuple(
        RowProblem("address_invalid", method.kind) for method, forms in methods if not forms
    )
    forms: Forms = [(method.kind, method.value, forms) for method, forms in methods if forms]
    return structs.replace(item, methods=kept), forms, tuple(dict.fromkeys(problems))


async def _namesakes(
    tx: Tx, book: Book, people: Sequence[tuple[int, NewContact, Forms]]
) -> dict[int, UUID]:
    asked = [
        (at, kind, form, value, rules.called(item, kind))
        for at, item, methods in people
        for kind, value, forms in methods
        for form in forms
    ]
    if not asked:
        return {}
    columns = [list(column) for column in zip(*asked, strict=True)]
    rows = await queries.find_namesakes.all(tx, book.owner_id, *columns)
    return {row.position: row.contact_id for row in rows}


async def _unaddressed(
    tx: Tx, book: Book, people: Sequence[tuple[int, NewContact]]
) -> dict[int, UUID]:
    if not people:
        return {}
    rows = await queries.find_unaddressed.all(
        tx,
        book.owner_id,
        [at for at, _ in people],
        [item.full_name for _, item in people],
        [item.company or "" for _, item in people],
        [item.birthday for _, item in people],
    )
    return {row.position: row.contact_id for row in rows}


def _of_contact(
    book: Book,
    item: NewContact,
    forms: Forms,
    problems: tuple[RowProblem, ...],
    namesake: UUID | None,
) -> Outcome:
    asked: set[rules.Mark] = set()
    left: set[rules.Mark] = set()
    for kind, _, each in forms:
        words = rules.name_words(rules.called(item, kind))
        before, now = rules.marks(kind, each[0], words)
        asked |= before
        left |= now
    if not forms:
        name = rules.name_words(item.full_name) or item.full_name
        asked = left = {(name, rules.name_words(item.company or ""), item.birthday or "")}
    is_twice = not asked.isdisjoint(book.seen)
    book.seen.update(left)
    status = "known" if namesake is not None or is_twice else "new"
    return Outcome(status=status, found=item, problems=problems, contact_id=namesake)


async def _talks(
    tx: Tx, book: Book, talks: Sequence[tuple[int, FoundInteraction]], now: datetime
) -> list[Outcome]:
    addresses: list[tuple[MethodKind, str]] = [
        (who.kind, who.address) for _, item in talks for who in item.participants
    ]
    if not addresses:
        return []
    found = iter(
        await contacts.find_by_addresses(
            tx, book.keys, addresses, owner_id=book.owner_id, region=book.region
        )
    )
    self_id = await queries.find_self.first(tx, book.owner_id)
    result: list[Outcome] = []
    for _, item in talks:
        there = [(who, next(found)) for who in item.participants]
        # Whom a mail is from, and to whom it is, comes in this order.
        others = [contact for _, contact in there if contact not in {None, self_id}]
        if rules.is_ahead(item, now):
            result.append(_skipped(item, "in_future"))
        elif not others:
            result.append(_skipped(item, "no_contact"))
        else:
            told = structs.replace(item, direction=_direction(item, there, self_id))
            result.append(Outcome(status="new", found=told, contact_id=others[0]))
    return result


def _skipped(item: FoundInteraction, code: Literal["in_future", "no_contact"]) -> Outcome:
    return Outcome(status="skipped", found=item, problems=(RowProblem(code),))


def _direction(
    item: FoundInteraction,
    there: Sequence[tuple[FoundParticipant, UUID | None]],
    self_id: UUID | None,
) -> Literal["inbound", "outbound", "mutual"]:
    """Return the direction of a mail by its sender: oneself, or somebody of the address book."""
    if item.kind != "email":
        return item.direction
    senders = [contact for who, contact in there if who.role == "from"]
    if self_id in senders:
        return "outbound"
    return "inbound" if any(senders) else "outbound"
