"""Merges of contacts and suggestions of them, as the REST interface takes and shows them."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from msgspec import Raw, Struct

from hub.domains.contacts.schemas import MethodKind

Reason = Literal[
    "same_user",
    "same_email",
    "same_phone",
    "same_linkedin",
    "same_twitter",
    "same_url",
    "same_name",
    "similar_name",
    "same_company",
    "same_birthday",
]
Noted = Literal["kept", "filled", "appended"]
"""What a merge does to the notes of the kept contact."""


class Side(Struct, frozen=True):
    """One of two contacts that seem to be one person."""

    contact_id: UUID
    full_name: str
    company: str | None
    job_title: str | None


class Suggestion(Struct, frozen=True):
    """Two contacts that seem to be one person, how likely, and why."""

    one: Side
    """Which to keep: its name is the fuller one, and a merge takes no name of the other's."""
    other: Side
    score: float
    reasons: list[Reason]


class MergeInto(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contact becomes part of another one."""

    merged_id: UUID


class Merge(Struct, frozen=True):
    """A merge: what `merged_id` had is with `kept_id`, until it is undone."""

    id: UUID
    kept_id: UUID
    merged_id: UUID
    filled: list[str]
    """Fields of the kept contact that were empty."""
    moved: dict[str, int]
    """How many rows of which table; an API key is not told how many interactions."""
    undone_at: datetime | None
    created_at: datetime


class Change(Struct, frozen=True):
    """A number or time of the kept contact before and after."""

    before: float | datetime | None
    after: float | datetime | None


class MergeRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a merge did, enough to take it back; the JSON of contact_merges.record.

    No values of people: those of the merged contact stay in its own row.
    """

    filled: list[str] = []
    tags_added: int = 0
    tags_kept: int = 0
    """How many the kept contact had, before those."""
    notes: Noted = "kept"
    strength: Change | None = None
    last_interaction_at: Change | None = None
    archived_at: Change | None = None
    was_archived: bool = False
    """Whether the merged contact was."""
    moved: dict[str, Raw] = {}


class MergeRow(Struct, frozen=True):
    """A merge as the database has it."""

    id: UUID
    kept_id: UUID
    merged_id: UUID
    record: Raw
    undone_at: datetime | None
    created_at: datetime


class Candidate(Struct, frozen=True):
    """Two contacts that have something in common, with what is compared."""

    one_id: UUID
    one_name: str
    one_words: str
    one_company: str | None
    one_job_title: str | None
    one_company_plain: str | None
    one_birthday: date | None
    other_id: UUID
    other_name: str
    other_words: str
    other_company: str | None
    other_job_title: str | None
    other_company_plain: str | None
    other_birthday: date | None
    shared_kinds: list[MethodKind]
    is_same_user: bool
