"""Nudges as the REST interface shows them, under /v1/alerts."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

NudgeKind = Literal["going_cold", "birthday", "follow_up", "job_change"]
NudgeStatus = Literal["open", "dismissed", "done"]
ClosedStatus = Literal["dismissed", "done"]


class NudgeRow(Struct, frozen=True):
    """A nudge as the database has it."""

    id: UUID
    contact_id: UUID
    full_name: str
    kind: NudgeKind
    status: NudgeStatus
    created_at: datetime
    closed_at: datetime | None


class Nudge(NudgeRow, frozen=True):
    """A person whom the hub reminds of, and why."""

    text: Annotated[str, Meta(examples=["It is time to be in touch with Ada Lovelace again."])]


class CloseNudge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a nudge."""

    status: ClosedStatus


class Morning(Struct, frozen=True):
    """A user's day, of their own calendar, whose morning has come; `ends_at`: its end."""

    user_id: UUID
    day: date
    ends_at: datetime
