"""The event law: each trigger of the catalogue fires, and its payload decodes with its Struct."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import msgspec
import pytest_asyncio

from hub.wiring.events import PAYLOADS
from tests.fixtures.postgres import Database


@pytest_asyncio.fixture
async def system(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.system_url)
    yield connection
    await connection.close()


async def act(system: asyncpg.Connection) -> tuple[UUID, UUID]:
    """Do everything that becomes an event, once; return the two users."""
    ada, grace = [
        await system.fetchval("INSERT INTO users (full_name) VALUES ($1) RETURNING id", name)
        for name in ("Ada", "Grace")
    ]
    await system.execute(
        "INSERT INTO rings (kind, device_id) VALUES ('ble', '\\x00000000000000a1')"
    )
    await system.execute("UPDATE rings SET user_id = $1, status = 'active', label = 'one'", ada)
    await system.execute("UPDATE rings SET label = 'two'")
    tap = {"device_id": "00000000000000a1", "kind": "button", "source": "ble", "rssi": -40}
    taps = [{**tap, "boot": 1, "seq": 1, "raw": "00", "tapped_at": "2026-11-21T06:00:00Z"}]
    await system.execute("SELECT app.record_taps($1)", json.dumps(taps))
    await system.execute("UPDATE rings SET status = 'lost'")
    await system.execute("UPDATE rings SET status = 'active'")
    await system.execute("INSERT INTO gateways (user_id, name) VALUES ($1, 'home')", ada)
    for status in ("online", "online", "offline"):
        await system.execute("UPDATE gateways SET status = $1, last_seen_at = now()", status)
    await system.execute("UPDATE gateways SET config_rev = config_rev + 1")
    await system.execute("""UPDATE gateways SET reported = '{"rev": 1}'""")
    await system.execute("UPDATE gateways SET alerts = '{offline}'")
    await system.execute("UPDATE gateways SET alerts = '{}'")
    await system.execute("UPDATE rings SET battery_pct = 80, link = 'connected'")
    await system.execute("UPDATE gateways SET claimed_at = now()")
    await system.execute("UPDATE gateways SET revoked_at = now()")
    async with system.transaction():
        await system.execute("SELECT set_config('app.user_id', $1, true)", str(ada))
        await system.execute("SELECT set_config('app.request_id', 'r-1', true)")
        conversation = await system.fetchval(
            "INSERT INTO conversations (kind) VALUES ('group') RETURNING id"
        )
        await system.execute(
            """INSERT INTO conversation_members (conversation_id, user_id)
            SELECT $1, unnest($2::uuid[])""",
            conversation,
            [ada, grace],
        )
        await system.execute(
            "INSERT INTO messages (conversation_id, sender_id, body) VALUES ($1, $2, 'hello')",
            conversation,
            grace,
        )
    await system.execute("SELECT app.befriend($1, $2, 'ring_tap')", ada, grace)
    await system.execute(
        """INSERT INTO touches (user_id, side, is_asked, expires_at)
        VALUES ($1, 1, true, now())""",
        ada,
    )
    await system.execute("UPDATE touches SET state = 'mutual'")
    await system.execute(
        "UPDATE touches SET state = 'exchanged', partner_user_id = $1, conversation_id = $2",
        grace,
        conversation,
    )
    await system.execute(
        """INSERT INTO ring_claims (
          user_id, ring_id, gateway_id, code_hash, label, nonce, hub_public_key, expires_at
        )
        SELECT r.user_id, r.id, g.id, '', 'one', $1, $2, now()
        FROM rings AS r CROSS JOIN gateways AS g""",
        bytes(8),
        bytes(32),
    )
    await system.execute("UPDATE ring_claims SET asked = asked + 1")
    await system.execute("UPDATE rings SET status = 'revoked'")
    await system.execute("UPDATE rings SET status = 'released', device_id = NULL")
    await system.execute("INSERT INTO cohorts (name) VALUES ('beta')")
    async with system.transaction():
        await system.execute("SELECT set_config('app.user_id', $1, true)", str(ada))
        await system.execute("INSERT INTO feature_flags VALUES (DEFAULT, 'new-cards', true, 5)")
    await system.execute("INSERT INTO cohort_members (cohort, user_id) VALUES ('beta', $1)", ada)
    await system.execute("DELETE FROM cohort_members")
    await use_account(system, ada)
    await change_contacts(system, ada)
    await system.execute(
        "INSERT INTO interactions (user_id, kind, occurred_at) VALUES ($1, 'call', now())", ada
    )
    await change_closeness(system, ada)
    await reach_goals(system, ada)
    await system.execute(
        "INSERT INTO import_jobs (user_id, format, file_bytes) VALUES ($1, 'vcard', 1)", ada
    )
    await system.execute("UPDATE import_jobs SET status = 'running', items_total = 1")
    return ada, grace


async def use_account(system: asyncpg.Connection, ada: UUID) -> None:
    """Do everything to an account that becomes an event, once."""
    await sign_in(system, ada)
    await system.execute("UPDATE sessions SET revoked_at = now()")
    for reason in ("exchanged", "reused"):
        await system.execute("UPDATE sessions SET revoked_because = $1", reason)
    await system.execute(
        "INSERT INTO identity_hashes (user_id, kind, hash) VALUES ($1, 'phone', 'x')", ada
    )
    await system.execute("DELETE FROM identity_hashes")
    await system.execute("UPDATE users SET subscription_tier = 'pro' WHERE id = $1", ada)
    await system.execute(
        """INSERT INTO consents (user_id, purpose, granted, text_version, source, granted_at)
        VALUES ($1, 'location', true, 1, 'settings', now())""",
        ada,
    )
    await system.execute("UPDATE consents SET granted = false, withdrawn_at = now()")


async def change_contacts(system: asyncpg.Connection, ada: UUID) -> None:
    """Do everything to contacts that becomes an event, once."""
    kept, merged = [
        await system.fetchval(
            "INSERT INTO contacts (user_id, full_name, job_title) VALUES ($1, $2, 'Author')"
            " RETURNING id",
            ada,
            name,
        )
        for name in ("Charles", "Charles Babbage")
    ]
    await system.execute("UPDATE contacts SET bio = 'Difference engines.' WHERE id = $1", kept)
    await system.execute("UPDATE contacts SET job_title = 'Engineer' WHERE id = $1", kept)
    await system.execute("UPDATE contacts SET archived_at = now() WHERE id = $1", kept)
    await system.execute("UPDATE contacts SET archived_at = NULL WHERE id = $1", kept)
    await system.execute(
        "INSERT INTO contact_merges (user_id, kept_id, merged_id, record)"
        " VALUES ($1, $2, $3, '{}')",
        ada,
        kept,
        merged,
    )
    await system.execute("UPDATE contact_merges SET undone_at = now()")
    # Of addresses, and of nothing that only machines count.
    await system.execute(
        "INSERT INTO contact_methods (user_id, contact_id, kind, value, value_hash)"
        " VALUES ($1, $2, 'email', '', '')",
        ada,
        kept,
    )
    await system.execute("UPDATE contacts SET strength = 1, last_interaction_at = now()")


async def change_closeness(system: asyncpg.Connection, ada: UUID) -> None:
    """Do everything to circles and health that becomes an event, once."""
    contact = await system.fetchval(
        "SELECT id FROM contacts WHERE user_id = $1 AND NOT is_self LIMIT 1", ada
    )
    await system.execute(
        "INSERT INTO circles (user_id, name, tier, cadence_days) VALUES ($1, 'Close', 1, 7)", ada
    )
    await system.execute(
        """INSERT INTO circle_members (user_id, circle_id, contact_id)
        SELECT $1, id, $2 FROM circles""",
        ada,
        contact,
    )
    await system.execute("UPDATE circles SET cadence_days = 14, name = 'Closest'")
    await system.execute(
        """INSERT INTO relationship_health (
          user_id, contact_id, score, strength, band, trend, components, next_touch_at, band_since,
          baseline, told_score, computed_at
        )
        VALUES ($1, $2, 50, 0.5, 'stable', 'steady', '{}', now(), now(), 50, 50, now())""",
        ada,
        contact,
    )
    await system.execute("UPDATE relationship_health SET score = 46")
    await system.execute("UPDATE relationship_health SET score = 44, told_score = 44")
    await system.execute(
        """INSERT INTO nudges (user_id, contact_id, kind, occasion)
        VALUES ($1, $2, 'birthday', '2026')""",
        ada,
        contact,
    )


async def reach_goals(system: asyncpg.Connection, ada: UUID) -> None:
    """Do everything to goals, reminders, insights and achievements that becomes an event, once."""
    for statement in (
        """INSERT INTO connection_goals (user_id, kind, intention)
        VALUES ($1, 'mentor', 'Learn to program')""",
        """UPDATE connection_goals SET status = 'achieved', achieved_at = now()
        WHERE user_id = $1""",
        """INSERT INTO reminders (user_id, title, timezone, first_local, due_at)
        VALUES ($1, 'Call Charles', 'UTC', '2026-11-21T09:00:00', '2026-11-21')""",
        "UPDATE reminders SET fired_at = now() WHERE user_id = $1",
        "UPDATE reminders SET fired_at = now() + interval '1 day' WHERE user_id = $1",
        """INSERT INTO insights (user_id, kind, title, content, actionable, reason)
        VALUES ($1, 'anomaly', 'Quiet', 'It has become quiet.', true, 'silence')""",
        """INSERT INTO streaks (user_id, kind, started_on, length, max_length, last_event_at)
        VALUES ($1, 'contact', '2026-11-15', 6, 6, now())""",
        "UPDATE streaks SET length = 7, max_length = 7 WHERE user_id = $1",
        "UPDATE streaks SET at_risk_on = '2026-11-22' WHERE user_id = $1",
        """INSERT INTO achievement_progress (
          user_id, achievement_id, current_value, target_value, last_increment_at
        )
        SELECT $1, id, 6, 7, now() FROM achievements WHERE code = 'contact_week'""",
        """UPDATE achievement_progress SET current_value = 7, unlocked_at = now()
        WHERE user_id = $1""",
        """INSERT INTO achievement_progress (
          user_id, achievement_id, current_value, target_value, last_increment_at, unlocked_at
        )
        SELECT $1, id, 1, 1, now(), now() FROM achievements WHERE code = 'first_tap'""",
    ):
        await system.execute(statement, ada)


async def sign_in(system: asyncpg.Connection, user: UUID, family: UUID | None = None) -> UUID:
    """Add a session; return its family."""
    return await system.fetchval(
        """INSERT INTO sessions (user_id, family_id, token_hash, expires_at)
        VALUES ($1, coalesce($2, uuidv7()), uuid_send(uuidv7()), now() + interval '1 day')
        RETURNING family_id""",
        user,
        family,
    )


async def test_each_type_fires_once_and_decodes_with_its_struct(
    system: asyncpg.Connection,
) -> None:
    ada, grace = await act(system)
    rows = await system.fetch("SELECT * FROM events ORDER BY id")
    assert [row["type"] for row in rows] == [
        "ring.claimed",
        "ring.renamed",
        "ring.tapped",
        "ring.lost",
        "ring.found",
        "gateway.online",
        "gateway.offline",
        "gateway.configured",
        "gateway.reported",
        "gateway.alerted",
        "gateway.recovered",
        "ring.changed",
        "gateway.claimed",
        "gateway.revoked",
        "conversation.opened",
        "message.sent",
        "friendship.created",
        "friendship.created",
        "touch.asked",
        "touch.mutual",
        "touch.exchanged",
        "ring.claim_asked",
        "ring.revoked",
        "ring.released",
        "flags.changed",
        "cohort.joined",
        "cohort.left",
        "session.revoked",
        "session.reused",
        "identity.lost",
        "subscription.changed",
        "consent.withdrawn",
        "contact.created",
        "contact.created",
        "contact.updated",
        "contact.job_changed",
        "contact.updated",
        "contact.archived",
        "contact.restored",
        "contact.merged",
        "contact.unmerged",
        "contact.updated",
        "interaction.recorded",
        "closeness.changed",
        "closeness.changed",
        "health.changed",
        "health.changed",
        "nudge.created",
        "goal.set",
        "goal.achieved",
        "reminder.due",
        "insight.created",
        "streak.milestone",
        "streak.at_risk",
        "achievement.unlocked",
        "achievement.unlocked",
        "import.progressed",
        "import.progressed",
    ]
    assert {row["type"] for row in rows} == set(PAYLOADS)
    for row in rows:
        kind = PAYLOADS[row["type"]]
        fields = msgspec.json.decode(row["payload"])
        assert set(fields) == set(kind.__struct_fields__), row["type"]
        msgspec.convert({"type": row["type"], **fields}, kind)
    owners = {row["type"]: row["user_id"] for row in rows}
    assert owners.pop("message.sent") == grace
    assert owners.pop("friendship.created") == grace  # the second of the two
    assert set(owners.values()) == {ada}


async def test_the_outbox_points_at_each_event_in_order(system: asyncpg.Connection) -> None:
    await act(system)
    pointers = await system.fetch(
        """SELECT e.id, o.shard, e.subject_id FROM outbox AS o
        JOIN events AS e ON (e.occurred_at, e.id) = (o.occurred_at, o.event_id) ORDER BY o.seq"""
    )
    events = await system.fetch("SELECT id FROM events ORDER BY id")
    assert [row["id"] for row in pointers] == [row["id"] for row in events]
    shards = {row["subject_id"]: set[int]() for row in pointers}
    for row in pointers:
        shards[row["subject_id"]].add(row["shard"])
    assert all(len(found) == 1 for found in shards.values())


async def test_events_carry_actor_and_request(system: asyncpg.Connection) -> None:
    ada, _ = await act(system)
    row = await system.fetchrow(
        "SELECT actor_id, request_id, subject_type FROM events WHERE type = 'message.sent'"
    )
    assert row is not None
    assert tuple(row.values()) == (ada, "r-1", "conversation")


async def test_a_batch_emits_in_the_order_in_which_it_arrived(system: asyncpg.Connection) -> None:
    ada = await system.fetchval("INSERT INTO users (full_name) VALUES ('Ada') RETURNING id")
    await system.execute(
        """INSERT INTO rings (kind, user_id, status, device_id)
        VALUES ('ble', $1, 'active', '\\x00000000000000a1')""",
        ada,
    )
    taps = [
        {
            "device_id": "00000000000000a1",
            "kind": "button",
            "source": "ble",
            "boot": 1,
            "seq": seq,
            "raw": "00",
        }
        for seq in (5, 3, 9, 1, 7, 2)
    ]
    await system.execute("SELECT app.record_taps($1)", json.dumps(taps))
    rows = await system.fetch(
        """SELECT (e.payload ->> 'seq')::int AS seq FROM outbox AS o
        JOIN events AS e ON e.id = o.event_id ORDER BY o.seq"""
    )
    assert [row["seq"] for row in rows] == [5, 3, 9, 1, 7, 2]


async def test_what_is_rolled_back_leaves_no_event(system: asyncpg.Connection) -> None:
    transaction = system.transaction()
    await transaction.start()
    await act(system)
    await transaction.rollback()
    assert await system.fetchval("SELECT count(*) FROM events") == 0
    assert await system.fetchval("SELECT count(*) FROM outbox") == 0


async def test_changes_that_are_none_emit_nothing(system: asyncpg.Connection) -> None:
    await act(system)
    before = await system.fetchval("SELECT count(*) FROM events")
    await system.execute("UPDATE rings SET label = label, status = status, user_id = user_id")
    await system.execute("UPDATE gateways SET status = status")
    await system.execute("INSERT INTO gateways (name) VALUES ('nobodys')")
    await system.execute("UPDATE gateways SET status = 'online' WHERE user_id IS NULL")
    assert await system.fetchval("SELECT count(*) FROM events") == before


async def test_a_session_ends_with_its_family_not_with_an_exchange(
    system: asyncpg.Connection,
) -> None:
    user = await system.fetchval("INSERT INTO users (full_name) VALUES ('Ada') RETURNING id")
    family = await sign_in(system, user)
    async with system.transaction():
        await system.execute("UPDATE sessions SET revoked_at = now()")
        await sign_in(system, user, family)
    assert await system.fetchval("SELECT count(*) FROM events") == 0
    await system.execute("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL")
    row = await system.fetchrow("SELECT type, user_id, subject_id, payload FROM events")
    assert row is not None
    assert tuple(row.values())[:3] == ("session.revoked", user, family)
    assert json.loads(row["payload"]) == {"session_id": str(family)}
