"""What readers of files find: contacts and interactions one by one, each with what is wrong."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct, field

from core import clock
from hub.domains.contacts.schemas import NewContact
from hub.domains.interactions.schemas import Direction, InteractionKind, ParticipantRole

Format = Literal[
    "calendar",
    "calls_xml",
    "csv",
    "google_csv",
    "linkedin_csv",
    "mail",
    "outlook_csv",
    "phone_json",
    "vcard",
]

ProblemCode = Literal[
    "address_invalid",
    "date_invalid",
    "in_future",
    "no_contact",
    "no_name",
    "no_participant",
    "not_a_person",
    "too_long",
    "too_many",
    "unfinished",
    "unreadable",
]
"""Why an entry was not taken, or what of it was left out; docs/people.md says what each means."""

RemarkCode = Literal["columns_ignored", "encoding_guessed", "series_once", "time_zone_unknown"]
"""What holds for the whole file."""


class RowProblem(Struct, frozen=True):
    """What is wrong with an entry; `field`: with which part of it, empty for the whole."""

    code: ProblemCode
    field: str = ""


class FoundParticipant(Struct, frozen=True):
    """Somebody who was part of an interaction, by their address."""

    role: ParticipantRole
    kind: Literal["email", "phone"]
    address: str


class FoundInteraction(Struct, frozen=True, kw_only=True):
    """An interaction as a file tells it; `native_id`: the file's own name of it, if it has one."""

    kind: InteractionKind
    occurred_at: datetime
    direction: Direction = "mutual"
    subject: str | None = None
    duration_seconds: int | None = None
    native_id: str = ""
    participants: tuple[FoundParticipant, ...] = ()


class Entry(Struct, frozen=True):
    """One entry of a file: what it is, or None where it cannot be taken; and what is wrong."""

    found: NewContact | FoundInteraction | None
    problems: tuple[RowProblem, ...] = ()


class Reading(Struct, frozen=True):
    """A file as its reader takes it: entries in their order, read as they are asked for.

    `remarks` and `ignored_columns` are complete once all entries have been read.
    """

    entries: Iterator[Entry]
    encoding: str
    remarks: set[RemarkCode]
    ignored_columns: tuple[str, ...] = ()


class Options(Struct, frozen=True):
    """What is known beside a file; `mapping`: column of a CSV file → field, as the person says."""

    mapping: Mapping[str, str] = {}
    now: datetime = field(default_factory=clock.now)


EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before it there was none of what files tell: a clock was never set."""


def failed(code: ProblemCode, field: str = "") -> Entry:
    """Return an entry that cannot be taken."""
    return Entry(None, (RowProblem(code, field),))
