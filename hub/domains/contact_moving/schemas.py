"""What a slice says of its rows that name a contact: how they move when two contacts become one.

Each slice joins the registry of `hub/wiring/merging.py`; a test asks it of every foreign key to
contacts. What a mover returns is kept in the merge, and handed to its `undo`.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from core.db import Tx


class Mover(msgspec.Struct, frozen=True):
    """Moves what hangs on a contact of the actor to another one, and back."""

    name: str
    """Of the table; under it the merge keeps what `move` returned."""
    move: Callable[[Tx, UUID, UUID], Awaitable[msgspec.Raw]]
    """Takes the contact that has the rows and the one that gets them."""
    undo: Callable[[Tx, UUID, UUID, msgspec.Raw], Awaitable[None]]
    """Takes the same two, in the same order, and what `move` returned; the rest stays."""
    can_meet: bool = True
    """Whether what one contact has keeps that of another one from moving to it."""
    hold: Callable[[Tx], Awaitable[None]] | None = None
    """Takes locks that everybody takes before those of contacts."""


class Stays(msgspec.Struct, frozen=True):
    """A table whose rows stay with the contact that was merged away, and why."""

    name: str
    why: str
