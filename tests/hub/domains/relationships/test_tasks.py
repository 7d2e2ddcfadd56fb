"""Which events bring which computation: as the relay resolves them and the worker runs them."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.events.schemas import Event, OutboxEvent
from hub.wiring import slices
from hub.wiring.events import deliver
from tests.fixtures.world import create_user

REACTIONS = {consumer.name: consumer.react for consumer in slices.CONSUMERS}


async def react(admin: Any, pool: Pool) -> list[str]:
    """Let relationships react to all events so far; return which types they reacted to."""
    reacted: list[str] = []
    for row in await admin.fetch("SELECT * FROM events ORDER BY id"):
        payload = msgspec.Raw(row["payload"].encode())
        common = {"type": row["type"], "user_id": row["user_id"], "subject_id": row["subject_id"]}
        common |= {"payload": payload, "occurred_at": row["occurred_at"]}
        for name in deliver(OutboxEvent(seq=1, event_id=row["id"], **common), {}).consumers:
            if name.startswith("relationships."):
                async with begin(pool, SYSTEM) as tx:
                    await REACTIONS[name](tx, Event(id=row["id"], **common))
                reacted.append(row["type"])
    await admin.execute("DELETE FROM events")
    return reacted


async def score(admin: Any, contact: UUID) -> float | None:
    return await admin.fetchval(
        "SELECT score FROM relationship_health WHERE contact_id = $1", contact
    )


@pytest.mark.req("REL-10")
async def test_what_changes_a_relationship_changes_its_health(
    admin: Any, system_pool: Pool
) -> None:
    ada = await create_user(admin, "Ada")
    contact = await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name) VALUES ($1, 'Grace') RETURNING id", ada
    )
    assert await react(admin, system_pool) == []
    note = """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
    VALUES ($1, $2, 'call', now() - interval '20 days')"""
    await admin.execute(note, ada, None)
    assert await react(admin, system_pool) == [], "with nobody who stands in the address book"
    await admin.execute(note, ada, contact)
    assert await react(admin, system_pool) == ["interaction.recorded"]
    quarterly = await score(admin, contact)
    assert quarterly is not None
    await admin.execute("UPDATE interactions SET subject = 'Tea'")
    assert await react(admin, system_pool) == []
    await admin.execute("UPDATE interactions SET occurred_at = occurred_at - interval '9 days'")
    assert await react(admin, system_pool) == ["closeness.changed"]
    later = await score(admin, contact)
    assert later is not None
    assert later < quarterly
    circle = await admin.fetchval(
        """INSERT INTO circles (user_id, name, tier, cadence_days) VALUES ($1, 'Close', 1, 14)
        RETURNING id""",
        ada,
    )
    await admin.execute(
        "INSERT INTO circle_members (user_id, circle_id, contact_id) VALUES ($1, $2, $3)",
        ada,
        circle,
        contact,
    )
    assert "closeness.changed" in await react(admin, system_pool)
    fortnightly = await score(admin, contact)
    assert fortnightly is not None
    assert fortnightly < later
    await admin.execute("UPDATE circles SET cadence_days = 7")
    await react(admin, system_pool)
    weekly = await score(admin, contact)
    assert weekly is not None
    assert weekly < fortnightly
    await admin.execute(
        """INSERT INTO contact_relationship_types (
          user_id, contact_id, type_owner_id, relationship_type_id
        )
        SELECT $1, $2, owner_id, id FROM relationship_types WHERE name = 'romantic'""",
        ada,
        contact,
    )
    await react(admin, system_pool)
    romantic = await score(admin, contact)
    assert romantic is not None
    assert romantic < weekly
    await admin.execute("DELETE FROM interactions")
    assert await react(admin, system_pool) == ["closeness.changed"]
    none = await score(admin, contact)
    assert none is not None
    assert none > romantic, "who was just put into a circle is not yet overdue"
    await admin.execute("UPDATE contacts SET archived_at = now() WHERE id = $1", contact)
    assert "contact.archived" in await react(admin, system_pool)
    assert await score(admin, contact) is None


async def test_an_account_that_goes_tells_nobody_of_its_circles(admin: Any) -> None:
    ada = await create_user(admin, "Ada")
    contact = await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name) VALUES ($1, 'Grace') RETURNING id", ada
    )
    circle = await admin.fetchval(
        """INSERT INTO circles (user_id, name, tier, cadence_days) VALUES ($1, 'Close', 1, 14)
        RETURNING id""",
        ada,
    )
    await admin.execute(
        "INSERT INTO circle_members (user_id, circle_id, contact_id) VALUES ($1, $2, $3)",
        ada,
        circle,
        contact,
    )
    await admin.execute(
        """INSERT INTO interactions (user_id, contact_id, kind, occurred_at)
        VALUES ($1, $2, 'call', now())""",
        ada,
        contact,
    )
    told = "SELECT count(*) FROM events WHERE type = 'closeness.changed'"
    assert await admin.fetchval(told) == 1
    await admin.execute("DELETE FROM events")
    await admin.execute("DELETE FROM users WHERE id = $1", ada)
    assert await admin.fetchval(told) == 0
