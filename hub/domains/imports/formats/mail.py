"""Mailboxes (mbox, RFC 4155) and single messages (EML, RFC 5322): heads only, never a body."""

import email
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

from core.errors import DomainError
from hub.domains.imports.formats import people, text
from hub.domains.imports.formats.found import (
    EARLIEST,
    Entry,
    FoundInteraction,
    FoundParticipant,
    Options,
    Reading,
    RemarkCode,
    failed,
)
from hub.domains.interactions.schemas import ParticipantRole

_HEAD_MAX_BYTES: Final = 262_144
# Of a header: far more than what is kept of it needs.
_HEADER_MAX_CHARS: Final = 16_384
_SUBJECT_MAX: Final = 1000
_ADDRESS_MAX: Final = 320
_PARTICIPANTS_MAX: Final = 100
_ROLES: Final[dict[str, ParticipantRole]] = {"from": "from", "to": "to", "cc": "to"}
# Behind a line that only looks so, as of a body whose writer has not quoted it, no header begins.
_BETWEEN: Final = re.compile(rb"(?:\A|\n)From [^\n]*\n(?=[!-9;-~]{1,76}:)")
_HEADER: Final = re.compile(rb"^[!-9;-~]{1,76}:", re.MULTILINE)
# What the first header of a message is called; other files begin with words and a colon, too.
_FIRST: Final = re.compile(
    rb"(?:arc-[a-z-]+|authentication-results|bcc|cc|content-[a-z-]+|date|delivered-to"
    rb"|dkim-signature|from|message-id|mime-version|received|reply-to|return-path|sender|status"
    rb"|subject|to|x-[!-9;-~]+):",
    re.IGNORECASE,
)
# Lists and newsletters are nobody's contact.
_BULK: Final = frozenset({"list-id", "list-unsubscribe"})
# Google Takeout says what a message is; these have reached, or come from, nobody.
_NOT_TALK: Final = frozenset({"spam", "drafts"})


def read(data: bytes, options: Options) -> Reading:
    """Read the heads of messages; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    start = data[:65_536].replace(b"\r\n", b"\n").lstrip()
    if not _BETWEEN.match(start) and not _FIRST.match(start):
        raise DomainError("import.not_this_format", "No message begins in it.")
    remarks: set[RemarkCode] = set()
    return Reading(_entries(data.replace(b"\r\n", b"\n").lstrip(), remarks), "mime", remarks)


def _entries(data: bytes, remarks: set[RemarkCode]) -> Iterator[Entry]:
    if not data.startswith(b"From "):
        yield _message(data, remarks)
        return
    begin = -1
    for match in _BETWEEN.finditer(data):
        if begin >= 0:
            yield _message(data[begin : match.start()], remarks)
        begin = match.end()
    if begin >= 0:
        yield _message(data[begin:], remarks)


def _message(data: bytes, remarks: set[RemarkCode]) -> Entry:
    head = data[:_HEAD_MAX_BYTES].split(b"\n\n", 1)[0]
    if not _HEADER.match(head):
        return failed("unreadable")
    found = email.message_from_bytes(head)
    if header := _not_talk(found, remarks):
        return failed("no_participant", header)
    if (occurred_at := _sent_at(_text(found, "date", remarks))) is None:
        return failed("date_invalid", "Date")
    try:
        participants = _participants(found)
    except RecursionError:
        # Comments within comments, by thousands.
        return failed("unreadable")
    if not participants:
        return failed("no_participant")
    subject = people.line(_text(found, "subject", remarks))
    return Entry(
        FoundInteraction(
            kind="email",
            occurred_at=occurred_at,
            subject=subject[:_SUBJECT_MAX] or None,
            native_id=people.line(_text(found, "message-id", remarks)),
            participants=participants[:_PARTICIPANTS_MAX],
        )
    )


def _not_talk(found: Message, remarks: set[RemarkCode]) -> str:
    """Return by which header a message is no contact with anybody, empty if it may be."""
    names = {name.lower() for name in found.keys()}  # noqa: SIM118  # iterating gives Nones
    if names & _BULK:
        return "List-Id"
    labels = _text(found, "x-gmail-labels", remarks).lower().split(",")
    return "" if _NOT_TALK.isdisjoint(label.strip() for label in labels) else "X-Gmail-Labels"


def _sent_at(date: str) -> datetime | None:
    try:
        local = parsedate_to_datetime(date)
        found = (local if local.tzinfo else local.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return None if found < EARLIEST else found


def _participants(found: Message) -> tuple[FoundParticipant, ...]:
    participants: list[FoundParticipant] = []
    for header, role in _ROLES.items():
        # Names may be encoded, addresses are not: what is decoded first could hold a comma.
        written = ", ".join(str(value) for value in found.get_all(header, []))
        if len(written) > _HEADER_MAX_CHARS:
            written = written[:_HEADER_MAX_CHARS].rpartition(",")[0]
        for _, address in getaddresses([written]):
            cleaned = people.line(address)
            if "@" in cleaned and len(cleaned) <= _ADDRESS_MAX:
                participants.append(FoundParticipant(role, "email", cleaned))
    return tuple(participants)


def _text(found: Message, header: str, remarks: set[RemarkCode]) -> str:
    """Return a header as text (RFC 2047)."""
    value = found.get(header)
    if value is None:
        return ""
    try:
        parts = decode_header(str(value)[:_HEADER_MAX_CHARS].replace("\n", " "))
    except (HeaderParseError, ValueError):
        return str(value)
    shown: list[str] = []
    for part, charset in parts:
        if isinstance(part, str):
            shown.append(part)
            continue
        decoded, is_guessed = text.decode_part(part, charset)
        if is_guessed:
            remarks.add("encoding_guessed")
        shown.append(decoded)
    return "".join(shown)
