"""Interactions as the REST interface takes and shows them, and as other slices hand them over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from core.normal_forms import ADDRESS_MAX_CHARS, AddressKind

InteractionKind = Literal[
    "email", "meeting", "call", "sms", "linkedin_message", "message", "ring_tap", "manual"
]
Direction = Literal["inbound", "outbound", "mutual"]
InteractionSource = Literal[
    "calendar",
    "email",
    "gmail",
    "import",
    "linkedin",
    "manual",
    "messaging",
    "outlook",
    "phone",
    "ring",
]
ParticipantRole = Literal["from", "to", "attendee", "organizer"]

SUBJECT_MAX_CHARS: Final = 1000
CONTENT_MAX_CHARS: Final = 100_000
PARTICIPANTS_MAX: Final = 100

# PostgreSQL's text cannot hold U+0000; blanks say nothing.
_TEXT: Final = r"^(?=[\s\S]*\S)[^\u0000]*$"
Moment = Annotated[datetime, Meta(tz=True)]
Subject = Annotated[
    str,
    Meta(min_length=1, max_length=SUBJECT_MAX_CHARS, pattern=_TEXT, examples=["Coffee with Ada"]),
]
Content = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=CONTENT_MAX_CHARS,
        pattern=_TEXT,
        examples=["She looks for somebody who knows compilers."],
    ),
]
Summary = Annotated[
    str,
    Meta(min_length=1, max_length=4000, pattern=_TEXT, examples=["Ada needs a compiler engineer."]),
]
Sentiment = Annotated[float, Meta(ge=-1, le=1)]
ExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$(?!\n)",
        examples=["9b2f6c1e-6d0b-4f5e-8a31-0c7d5e2f4a10"],
    ),
]
DurationSeconds = Annotated[int, Meta(ge=0, le=2_592_000, examples=[1800])]
Address = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ADDRESS_MAX_CHARS,
        pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)",
        examples=["ada@example.com"],
    ),
]


class NewParticipant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who was part of an interaction: a contact, an address, or both."""

    role: ParticipantRole
    contact_id: UUID | None = None
    address_kind: AddressKind = "email"
    address: Address | None = None


Participants = Annotated[list[NewParticipant], Meta(max_length=PARTICIPANTS_MAX)]


class NewInteraction(Struct, frozen=True, kw_only=True):
    """An interaction that another slice records.

    With an `external_id`, the source's own name of it, it is recorded once however often it comes.
    `metadata` is the source's: a JSON object of at most 8000 characters. Without a `contact_id` it
    is with the first of the participants who stands in the address book.
    """

    kind: InteractionKind
    occurred_at: datetime
    source: InteractionSource
    external_id: str | None = None
    contact_id: UUID | None = None
    direction: Direction = "mutual"
    subject: str | None = None
    content: str | None = None
    summary: str | None = None
    sentiment: float | None = None
    duration_seconds: int | None = None
    metadata: dict[str, Any] = {}
    is_private: bool = False
    participants: Sequence[NewParticipant] = ()


class WriteInteraction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An interaction that the user notes down, or an app for them: of a call, when it is over."""

    external_id: ExternalId | None = None
    """The app's own id, such as a random UUID: however often it is sent, it is one interaction."""
    contact_id: UUID | None = None
    kind: InteractionKind = "manual"
    direction: Direction = "mutual"
    subject: Subject | None = None
    content: Content | None = None
    summary: Summary | None = None
    sentiment: Sentiment | None = None
    occurred_at: Moment | None = None
    """By default now; never later than now."""
    duration_seconds: DurationSeconds | None = None
    is_private: bool = False
    participants: Participants = []


class ChangeInteraction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what a source told can only be made private or be assigned."""

    contact_id: UUID | UnsetType | None = UNSET
    is_private: bool | UnsetType = UNSET
    kind: InteractionKind | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET
    subject: Subject | UnsetType | None = UNSET
    content: Content | UnsetType | None = UNSET
    summary: Summary | UnsetType | None = UNSET
    sentiment: Sentiment | UnsetType | None = UNSET
    occurred_at: Moment | UnsetType = UNSET
    duration_seconds: DurationSeconds | UnsetType | None = UNSET
    participants: Participants | UnsetType = UNSET


class Interaction(Struct, frozen=True):
    """An interaction as lists show it; `is_private` ones are not shown to API keys."""

    id: UUID
    contact_id: UUID | None
    kind: InteractionKind
    direction: Direction
    subject: str | None
    summary: str | None
    sentiment: float | None
    occurred_at: datetime
    duration_seconds: int | None
    source: InteractionSource
    external_id: str | None
    is_private: bool
    created_at: datetime
    updated_at: datetime


class Participant(Struct, frozen=True):
    """Somebody who was part of an interaction."""

    id: UUID
    role: ParticipantRole
    contact_id: UUID | None
    address_kind: AddressKind | None
    address: str | None


class StoredParticipant(Struct, frozen=True):
    """A participant as the database has them."""

    id: UUID
    role: ParticipantRole
    contact_id: UUID | None
    address_kind: AddressKind | None
    address: bytes | None


class StoredInteraction(Interaction, frozen=True):
    """An interaction as the database has it."""

    content: str | None
    metadata: Raw


class InteractionDetail(Interaction, frozen=True):
    """One interaction with its words and with whoever was part of it."""

    content: str | None
    metadata: dict[str, Any]
    participants: list[Participant]


class InteractionFilter(Struct, frozen=True, kw_only=True):
    """Which interactions to find; what is absent limits nothing. `since` is included, `until` not.

    `text` is what PostgreSQL's websearch_to_tsquery takes: words, "phrases", or, -without.
    """

    since: datetime | None = None
    until: datetime | None = None
    contact_id: UUID | None = None
    kind: InteractionKind | None = None
    direction: Direction | None = None
    text: str | None = None


class Total(Struct, frozen=True):
    """How many there are on all pages; no more than 10,000 are counted."""

    count: int
    is_capped: bool


class InteractionTimeline(Struct, frozen=True):
    """One page of interactions, the latest first; `total` where it was asked for."""

    items: list[Interaction]
    next_cursor: str | None
    has_more: bool
    total: Total | None


class MatchedInteraction(Interaction, frozen=True):
    """An interaction that was found by words, with the beginning of its content."""

    content: str | None


HighlightField = Literal["subject", "summary", "content"]


class Piece(Struct, frozen=True):
    """A piece of a text, either one of the words that were looked for or what stands between."""

    text: str
    is_match: bool


class Highlight(Struct, frozen=True):
    """Where the words stand: a passage of one of the texts, in pieces that follow each other."""

    field: HighlightField
    pieces: list[Piece]


class Hit(Struct, frozen=True):
    """An interaction that was found, and where the words stand in it."""

    interaction: Interaction
    highlights: list[Highlight]


class Hits(Struct, frozen=True):
    """One page of what was found, the latest first; `total` where it was asked for."""

    items: list[Hit]
    next_cursor: str | None
    has_more: bool
    total: Total | None
