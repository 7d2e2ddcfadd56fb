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
    return ada, grace


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
