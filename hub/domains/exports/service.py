"""Exports of address books, page by page: however many contacts there are, a page is in memory."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

from core.db import Tx
from hub.domains.audit import service as audit
from hub.domains.contacts import service as contacts
from hub.domains.contacts.service import Keys
from hub.domains.exports import queries, rules
from hub.domains.exports.schemas import (
    Address,
    Card,
    ExportFormat,
    StoredContact,
    StoredMethod,
)

PAGE: Final = 500
_CALENDAR: Final = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Ping Hub//Birthdays//EN\r\n"
Reads = Callable[[], AbstractAsyncContextManager[Tx]]


async def note(tx: Tx, file_format: ExportFormat, *, with_archived: bool) -> None:
    """Let it be known that an address book leaves the hub."""
    details = {"format": file_format, "with_archived": with_archived}
    await audit.note_reading(
        tx, "export", "contacts", "all", owner=tx.actor.user_id, details=details
    )


async def write(
    reads: Reads, keys: Keys, file_format: ExportFormat, *, with_archived: bool
) -> AsyncGenerator[bytes]:
    """Yield the parts of a file; each page is a transaction of its own, given back meanwhile."""
    widths: list[int] = []
    if file_format == "csv":
        async with reads() as tx:
            widths = [
                await queries.count_kinds.one(tx, list(kinds), with_archived)
                for _, kinds in rules.COLUMNS
            ]
    head, tail = _around(file_format, widths)
    yield head.encode()
    between = ""
    async for cards in _pages(reads, keys, with_archived=with_archived):
        yield (between + _written(file_format, cards, widths)).encode()
        between = ",\n" if file_format == "json" else ""
    yield tail.encode()


async def _pages(reads: Reads, keys: Keys, *, with_archived: bool) -> AsyncGenerator[list[Card]]:
    after: UUID | None = None
    while True:
        async with reads() as tx:
            rows = await queries.list_contacts.all(tx, after, with_archived, PAGE)
            methods = await queries.list_methods.all(tx, [row.id for row in rows])
        if rows:
            by_contact: dict[UUID, list[StoredMethod]] = {}
            for method in methods:
                by_contact.setdefault(method.contact_id, []).append(method)
            yield [_card(keys, row, by_contact.get(row.id, [])) for row in rows]
            after = rows[-1].id
        if len(rows) < PAGE:
            return


def _around(file_format: ExportFormat, widths: list[int]) -> tuple[str, str]:
    match file_format:
        case "vcf":
            return "", ""
        case "csv":
            return rules.csv_head(widths), ""
        case "json":
            return '{"contacts": [\n', "\n]}\n"
        case "ics":
            return _CALENDAR, "END:VCALENDAR\r\n"


def _written(file_format: ExportFormat, cards: list[Card], widths: list[int]) -> str:
    match file_format:
        case "vcf":
            return rules.vcf(cards)
        case "csv":
            return rules.csv_rows(cards, widths)
        case "json":
            return rules.json(cards)
        case "ics":
            return rules.ics(cards)


def _card(keys: Keys, row: StoredContact, methods: list[StoredMethod]) -> Card:
    return Card(
        id=row.id,
        full_name=row.full_name,
        first_name=row.first_name,
        last_name=row.last_name,
        company=row.company,
        job_title=row.job_title,
        linkedin_url=row.linkedin_url,
        location=row.location,
        bio=row.bio,
        notes=contacts.sealing.open_notes(keys, row.id, row.notes),
        birthday=contacts.rules.shown_birthday(row.birthday),
        tags=row.tags,
        addresses=[
            Address(
                method.kind,
                contacts.sealing.open_method(keys, method.id, method.value),
                method.label,
                method.is_primary,
            )
            for method in methods
        ],
    )
