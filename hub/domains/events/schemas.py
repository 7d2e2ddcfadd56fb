"""Committed events on their way out: the row behind an outbox pointer, and what apps receive."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import msgspec

from core.db import Tx
from hub.providers.outside import Outside


class OutboxEvent(msgspec.Struct, frozen=True):
    """An outbox pointer with its event, whose fields are None when it was erased meanwhile."""

    seq: int
    event_id: UUID
    type: str | None
    user_id: UUID | None
    subject_id: UUID | None
    payload: msgspec.Raw | None
    occurred_at: datetime


class Event(msgspec.Struct, frozen=True):
    """An event as a consumer receives it; `payload` is the JSON of the type's payload Struct."""

    id: UUID
    type: str
    user_id: UUID | None
    subject_id: UUID
    payload: msgspec.Raw
    occurred_at: datetime


Errand = Callable[[Outside], Awaitable[None]]
"""What a reaction has to do outside of the database; idempotent, as it may happen twice."""


class Consumer(msgspec.Struct, frozen=True):
    """An idempotent reaction to events; `react` runs in the transaction that marks it done.

    What needs the network it returns as an errand, which is run after that transaction has been
    given up; the mark "done" is then a transaction of its own.
    """

    name: str
    react: Callable[[Tx, Event], Awaitable[Errand | None]]


class TaskKey(msgspec.Struct, frozen=True):
    """One consumer's work on one event."""

    event_id: UUID
    consumer: str


class Membership(msgspec.Struct, frozen=True):
    """A user who takes part in a conversation."""

    conversation_id: UUID
    user_id: UUID
