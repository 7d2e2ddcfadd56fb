"""Interactions: recorded once each, whoever tells of them.

`owner_id` names whose interactions are meant where the transaction is a system one; a user's own
transaction knows.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from core.db import Tx
from core.ids import new_id
from hub.domains.contacts import service as contacts
from hub.domains.interactions import queries
from hub.domains.interactions.schemas import NewInteraction


async def record(tx: Tx, new: NewInteraction, *, owner_id: UUID | None = None) -> UUID | None:
    """Record an interaction; return its id, or None if its source told of it before."""
    [made] = await record_many(tx, [new], owner_id=owner_id)
    return made


async def record_many(
    tx: Tx, items: Sequence[NewInteraction], *, owner_id: UUID | None = None
) -> list[UUID | None]:
    """Record interactions by one statement; return their ids in order, None for those known."""
    owner = contacts.owner_of(tx, owner_id)
    rows = [_row(new_id(), new) for new in items]
    made = set(await queries.insert_interactions.all(tx, owner, msgspec.json.encode(rows)))
    return [row["id"] if row["id"] in made else None for row in rows]


def _row(interaction_id: UUID, new: NewInteraction) -> dict[str, Any]:
    row = msgspec.structs.asdict(new)
    del row["participants"]
    return {**row, "id": interaction_id}
