"""The functions that other parts call: claim, converse, record."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.consents import allow
from tests.fixtures.postgres import Database

DEVICE = bytes.fromhex("00000000000000a1")


@pytest_asyncio.fixture
async def system(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.system_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def ada(system: asyncpg.Connection) -> UUID:
    return await system.fetchval("INSERT INTO users (full_name) VALUES ('Ada') RETURNING id")


@pytest_asyncio.fixture
async def grace(system: asyncpg.Connection) -> UUID:
    return await system.fetchval("INSERT INTO users (full_name) VALUES ('Grace') RETURNING id")


async def add_ring(system: asyncpg.Connection, owner: UUID | None, **values: Any) -> UUID:
    values = {"kind": "dual", "device_id": DEVICE, **values}
    if owner is not None:
        values = {"user_id": owner, "status": "active", "label": "ring", **values}
    marks = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    return await system.fetchval(
        f"INSERT INTO rings ({', '.join(values)}) VALUES ({marks}) RETURNING id",
        *values.values(),
    )


async def as_user(database: Database, user: UUID, sql: str, *args: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.api_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(user))
            return await connection.fetch(sql, *args)
    finally:
        await connection.close()


def tap(seq: int, **values: Any) -> dict[str, Any]:
    return {
        "device_id": DEVICE.hex(),
        "kind": "tap_to_phone",
        "source": "ble",
        "boot": 1,
        "seq": seq,
        "raw": f"{seq:02x}",
        **values,
    }


async def record(connection: asyncpg.Connection, *taps: dict[str, Any]) -> list[str]:
    rows = await connection.fetch("SELECT * FROM app.record_taps($1)", json.dumps(taps))
    assert [row["position"] for row in rows] == list(range(len(taps)))
    return [row["outcome"] for row in rows]


async def count(connection: asyncpg.Connection, table: str) -> int:
    return await connection.fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.req("RNG-05")
async def test_a_batch_is_recorded_once_however_often_it_is_sent(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    assert await record(system, tap(1), tap(2), tap(1), tap(3)) == [
        "recorded",
        "recorded",
        "duplicate",
        "recorded",
    ]
    assert await record(system, tap(3), tap(2), tap(1)) == ["duplicate"] * 3
    assert (await count(system, "ring_taps"), await count(system, "outbox")) == (3, 3)


@pytest.mark.req("RNG-05")
async def test_counters_used_by_other_bytes_are_stale_in_and_across_batches(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    assert await record(system, tap(1), tap(1, raw="ff")) == ["recorded", "counter_stale"]
    assert await record(system, tap(1, raw="fe")) == ["counter_stale"]
    assert await system.fetchval("SELECT raw FROM ring_taps") == b"\x01"


@pytest.mark.req("RNG-05")
async def test_taps_of_rings_that_nobody_owns_are_refused_beside_good_ones(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    await add_ring(system, None, device_id=b"unclaimd")
    outcomes = await record(
        system, tap(1, device_id=b"unclaimd".hex()), tap(1), tap(1, device_id=b"notthere".hex())
    )
    assert outcomes == ["unknown_ring", "recorded", "unknown_ring"]


async def test_a_lost_ring_is_refused_but_what_it_sent_before_is_still_acknowledged(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    await record(system, tap(1))
    await system.execute("UPDATE rings SET status = 'lost'")
    assert await record(system, tap(1), tap(2)) == ["duplicate", "ring_revoked"]
    assert await count(system, "ring_taps") == 1


async def test_the_owner_comes_from_the_ring_and_a_deleted_gateway_fails_nothing(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    gateway = await system.fetchval("INSERT INTO gateways (name) VALUES ('home') RETURNING id")
    gone = "01890000-0000-7000-8000-000000000000"
    await allow(system, ada, "location")
    await record(
        system,
        tap(1, gateway_id=str(gateway), rssi=-50, lat=48.1, lon=11.6, peer_eid="ab" * 16),
        tap(2, gateway_id=gone, tapped_at="2026-11-21T06:00:00Z", uncertainty_ms=5),
    )
    rows = await system.fetch(
        "SELECT user_id, gateway_id, rssi, lat, peer_eid, verified, uncertainty_ms"
        " FROM ring_taps ORDER BY seq"
    )
    assert tuple(rows[0].values()) == (ada, gateway, -50, 48.1, b"\xab" * 16, True, None)
    assert (rows[1]["user_id"], rows[1]["gateway_id"], rows[1]["uncertainty_ms"]) == (ada, None, 5)


async def test_the_rings_counters_only_go_up(system: asyncpg.Connection, ada: UUID) -> None:
    await add_ring(system, ada)

    async def counters() -> tuple[int, int]:
        row = await system.fetchrow("SELECT last_boot, last_seq FROM rings")
        assert row is not None
        return row["last_boot"], row["last_seq"]

    await record(system, tap(9), tap(7))
    assert await counters() == (1, 9)
    await record(system, tap(8))
    assert await counters() == (1, 9)
    await record(system, tap(1, boot=2))
    assert await counters() == (2, 1)


async def test_an_empty_batch_is_nothing(system: asyncpg.Connection) -> None:
    assert await record(system) == []


@pytest.mark.req("RNG-05")
async def test_batches_in_parallel_record_each_tap_once_and_never_deadlock(
    database: Database, system: asyncpg.Connection, ada: UUID
) -> None:
    devices = [bytes([0, 0, 0, 0, 0, 0, 1, number]) for number in range(8)]
    for device in devices:
        await add_ring(system, ada, device_id=device)
    batch = [tap(seq, device_id=device.hex()) for seq in range(1, 6) for device in devices]

    async def send(taps: list[dict[str, Any]]) -> list[str]:
        connection = await asyncpg.connect(database.system_url)
        try:
            return await record(connection, *taps)
        finally:
            await connection.close()

    results = await asyncio.gather(
        *(send(batch if number % 2 else batch[::-1]) for number in range(6))
    )
    outcomes = [outcome for result in results for outcome in result]
    assert outcomes.count("recorded") == len(batch)
    assert outcomes.count("duplicate") == len(batch) * 5
    assert await count(system, "events") == len(batch)


async def sun(
    connection: asyncpg.Connection, counter: int, session: bytes = b"phone"
) -> asyncpg.Record:
    row = await connection.fetchrow(
        "SELECT * FROM app.record_sun_tap($1::bytea[], $2, $3, $4)",
        [b"another form", b"uid"],
        counter,
        session,
        b"raw",
    )
    assert row is not None
    return row


@pytest.mark.req("RNG-05")
async def test_a_sun_counter_works_once_and_never_backwards(
    system: asyncpg.Connection, ada: UUID
) -> None:
    ring = await add_ring(system, ada, nfc_uid_hash=b"uid")
    first = await sun(system, 5)
    assert (first["outcome"], first["ring_id"], first["owner"]) == ("recorded", ring, ada)
    assert (await sun(system, 5, b"other"))["outcome"] == "already_used"
    assert (await sun(system, 4))["outcome"] == "already_used"
    assert (await sun(system, 6))["outcome"] == "recorded"
    assert await count(system, "ring_taps") == 2


async def test_the_same_session_gets_the_same_tap_for_a_minute(
    system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada, nfc_uid_hash=b"uid")
    first = await sun(system, 5)
    again = await sun(system, 5)
    assert (again["outcome"], again["tap_id"]) == ("replayed", first["tap_id"])
    await system.execute("UPDATE ring_taps SET received_at = received_at - interval '61 seconds'")
    assert (await sun(system, 5))["outcome"] == "already_used"
    assert await count(system, "events") == 1


async def test_a_sun_tap_of_a_lost_or_unknown_ring_uses_up_nothing(
    system: asyncpg.Connection, ada: UUID
) -> None:
    assert (await sun(system, 5))["outcome"] == "unknown_ring"
    await add_ring(system, ada, nfc_uid_hash=b"uid", status="lost")
    assert (await sun(system, 5))["outcome"] == "ring_revoked"
    assert await system.fetchval("SELECT sun_counter FROM rings") == -1
    assert await count(system, "ring_taps") == 0


@pytest.mark.req("RNG-05")
async def test_of_parallel_openings_of_one_link_exactly_one_is_recorded(
    database: Database, system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada, nfc_uid_hash=b"uid")

    async def open_link(session: bytes) -> str:
        connection = await asyncpg.connect(database.system_url)
        try:
            return (await sun(connection, 9, session))["outcome"]
        finally:
            await connection.close()

    sessions = [b"mine"] * 4 + [bytes([number]) for number in range(8)]
    outcomes = await asyncio.gather(*(open_link(session) for session in sessions))
    assert outcomes.count("recorded") == 1
    assert set(outcomes) <= {"recorded", "replayed", "already_used"}
    assert await count(system, "events") == 1


async def test_two_users_have_one_direct_conversation_whoever_opens_it(
    database: Database, system: asyncpg.Connection, ada: UUID, grace: UUID
) -> None:
    open_with = "SELECT * FROM app.open_direct_conversation($1)"
    results = await asyncio.gather(
        *(as_user(database, me, open_with, you) for me, you in ((ada, grace), (grace, ada)) * 3)
    )
    rows = [result[0] for result in results]
    assert len({row["id"] for row in rows}) == 1
    assert [row["created"] for row in rows].count(True) == 1
    assert await count(system, "conversation_members") == 2


@pytest.mark.parametrize("partner", ["me", "deleted", "unknown", None])
async def test_a_conversation_needs_another_living_user(
    database: Database, system: asyncpg.Connection, ada: UUID, grace: UUID, partner: str | None
) -> None:
    await system.execute("UPDATE users SET deleted_at = now() WHERE id = $1", grace)
    whom = {
        "me": ada,
        "deleted": grace,
        "unknown": UUID("01890000-0000-7000-8000-000000000000"),
        None: None,
    }[partner]
    with pytest.raises(asyncpg.RaiseError, match=r"ping:conversation\.partner_invalid"):
        await as_user(database, ada, "SELECT * FROM app.open_direct_conversation($1)", whom)
    assert await count(system, "conversations") == 0


async def test_a_session_is_found_by_its_hash_only(
    database: Database, system: asyncpg.Connection, ada: UUID
) -> None:
    session = await system.fetchval(
        """INSERT INTO sessions (user_id, family_id, token_hash, expires_at)
        VALUES ($1, uuidv7(), $2, now() + interval '1 day') RETURNING id""",
        ada,
        b"hash",
    )
    api = await asyncpg.connect(database.api_url)
    find = "SELECT id, user_id, revoked_at FROM app.find_session($1)"
    found = await api.fetch(find, b"hash")
    assert [tuple(row.values()) for row in found] == [(session, ada, None)]
    assert await api.fetch(find, b"other") == []
    await api.close()


async def test_a_message_into_a_strangers_conversation_is_refused(
    database: Database, system: asyncpg.Connection, ada: UUID, grace: UUID
) -> None:
    eve = await system.fetchval("INSERT INTO users (full_name) VALUES ('Eve') RETURNING id")
    rows = await as_user(database, ada, "SELECT * FROM app.open_direct_conversation($1)", grace)
    send = "INSERT INTO messages (conversation_id, body) VALUES ($1, 'hello') RETURNING sender_id"
    assert (await as_user(database, grace, send, rows[0]["id"]))[0][0] == grace
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_user(database, eve, send, rows[0]["id"])
    assert await count(system, "messages") == 1


async def test_a_reply_stays_inside_its_conversation(
    database: Database, system: asyncpg.Connection, ada: UUID, grace: UUID
) -> None:
    eve = await system.fetchval("INSERT INTO users (full_name) VALUES ('Eve') RETURNING id")
    open_with = "SELECT id FROM app.open_direct_conversation($1)"
    with_grace = (await as_user(database, ada, open_with, grace))[0]["id"]
    with_eve = (await as_user(database, ada, open_with, eve))[0]["id"]
    send = """INSERT INTO messages (conversation_id, body, reply_to_id)
    VALUES ($1, 'x', $2) RETURNING id"""
    first = (await as_user(database, ada, send, with_grace, None))[0]["id"]
    assert await as_user(database, grace, send, with_grace, first)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await as_user(database, ada, send, with_eve, first)


async def test_a_lost_ring_can_be_found_again_but_a_revoked_one_stays_revoked(
    database: Database, system: asyncpg.Connection, ada: UUID
) -> None:
    await add_ring(system, ada)
    change = "UPDATE rings SET status = $1 WHERE true RETURNING status"
    assert await as_user(database, ada, change, "lost")
    assert await as_user(database, ada, change, "active")
    for status in ("unclaimed", "released"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await as_user(database, ada, change, status)
    assert await as_user(database, ada, change, "revoked")
    assert await as_user(database, ada, change, "active") == []
