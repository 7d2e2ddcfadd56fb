"""Where a database stands, as `migrations/env.py` reports it."""

import msgspec
from sqlalchemy import Connection

from migrations import fingerprint, scripts


class State(msgspec.Struct, frozen=True):
    """`revision` is empty before the first migration.

    `has_objects`: functions, policies and triggers are those of this code.
    """

    revision: str
    has_objects: bool
    changed_by_hand: list[str]


def read(connection: Connection, heads: tuple[str, ...]) -> State:
    """Return the state of a database whose revision is known."""
    return State(
        revision=heads[0] if heads else "",
        has_objects=scripts.applied_mark(connection) == scripts.mark_of(scripts.newest_objects()),
        changed_by_hand=fingerprint.differences(connection),
    )
