"""Data keys are made, shared and rotated while others write; outages are outages, never losses."""

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from core import config, ids
from core.crypto import DATA_KEY_VERSION, DecryptionError, FieldCipher, KeyRing, key_mark
from core.db import Pool
from core.errors import DomainError
from core.sealed_columns import SEALED_COLUMNS, SealedColumn
from hub.domains.encryption import service
from hub.domains.encryption.schemas import StoredKey
from tests.fixtures.postgres import Database
from tests.hub.domains.encryption.processes import Process, rotate, unheard
from tests.hub.providers.transit_double import TOKEN, TransitDouble, serving

OLD_KEK, NEW_KEK = os.urandom(32), os.urandom(32)
OLD_RING, BOTH_RINGS = KeyRing({1: OLD_KEK}), KeyRing({1: OLD_KEK, 2: NEW_KEK})
EMAIL = SEALED_COLUMNS[0]


@pytest_asyncio.fixture
async def rows(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


async def add_user(rows: asyncpg.Connection, cipher: FieldCipher, email: str) -> UUID:
    user_id = ids.new_id()
    sealed = cipher.seal(email.encode(), column="users.email", row=user_id.bytes)
    await rows.execute(
        "INSERT INTO users (id, full_name, email) VALUES ($1, 'Ada', $2)", user_id, sealed
    )
    return user_id


async def emails(rows: asyncpg.Connection, process: Process) -> dict[UUID, str]:
    found = await rows.fetch("SELECT id, email FROM users")
    return {row["id"]: process.open(row["email"], row["id"]).decode() for row in found}


async def begin_to_seal(rows: asyncpg.Connection, *processes: Process) -> None:
    """Let the announced keys' time come, in the database and for processes that start now."""
    await rows.execute("UPDATE data_keys SET seals_from = seals_from - interval '1 hour'")
    for process in processes:
        process.data_keys.list_all({})
        await process.refresh()


@pytest.mark.req("SEC-01")
async def test_processes_that_start_at_once_share_one_first_key_of_each_scope(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    processes = [Process(system_pool, OLD_RING) for _ in range(5)]
    await asyncio.gather(*(process.refresh() for process in processes))
    assert await rows.fetch("SELECT scope, number FROM data_keys ORDER BY scope") == [
        ("people", 1),
        ("rings", 1),
    ]
    row = ids.new_id()
    for writer in processes:
        sealed = writer.seal(b"secret", row)
        assert sealed[0] == DATA_KEY_VERSION
        assert {reader.open(sealed, row) for reader in processes} == {b"secret"}
    assert b"secret" not in sealed


async def test_the_database_holds_no_key_that_opens_anything(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    sealed = process.seal(b"secret", UUID(int=1))
    thief = Process(system_pool, KeyRing({1: os.urandom(32)}))
    await thief.refresh()
    with pytest.raises(DomainError):
        thief.open(sealed, UUID(int=1))
    # A wrapped key put into another's row opens neither.
    await rows.execute(
        """UPDATE data_keys AS k SET wrapped = o.wrapped FROM data_keys AS o
        WHERE k.scope = 'people' AND o.scope = 'rings'"""
    )
    confused = Process(system_pool, OLD_RING)
    await confused.refresh()
    with pytest.raises(DomainError):
        confused.open(sealed, UUID(int=1))


async def test_a_new_key_encryption_key_rewraps_and_the_old_one_may_go(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    before = Process(system_pool, OLD_RING)
    await before.refresh()
    user = await add_user(rows, before.cipher, "ada@example.com")
    done = await rotate(Process(system_pool, BOTH_RINGS))
    assert (done.rewrapped, done.made, done.resealed, done.retired) == (2, 0, 0, 0)
    after = Process(system_pool, KeyRing({2: NEW_KEK}))
    await after.refresh()
    assert await emails(rows, after) == {user: "ada@example.com"}
    status = await service.read_status(system_pool)
    assert {key.wrapped_by for key in status.data_keys} == {"ring:2"}
    assert (await rotate(Process(system_pool, BOTH_RINGS))).rewrapped == 0


async def test_values_of_before_there_were_data_keys_open_and_are_sealed_anew(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    user = await add_user(rows, FieldCipher(OLD_RING), "ada@example.com")
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    assert await emails(rows, process) == {user: "ada@example.com"}
    before = await service.read_status(system_pool)
    assert (before.ring_values, before.to_reseal) == ({"1": 1}, 1)
    assert (await rotate(process)).resealed == 1
    after = await service.read_status(system_pool)
    assert (after.ring_values, after.to_reseal) == ({}, 0)
    assert await emails(rows, process) == {user: "ada@example.com"}


async def test_every_sealed_column_is_sealed_anew(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    old = FieldCipher(OLD_RING)
    user = await add_user(rows, old, "ada@example.com")
    ring, claim, touch = ids.new_id(), ids.new_id(), ids.new_id()

    def sealed(item: SealedColumn, row: UUID) -> bytes:
        return old.seal(item.place.encode(), column=item.bound_to, row=row.bytes)

    by_place = {item.place: item for item in SEALED_COLUMNS}
    await rows.execute(
        "INSERT INTO contact_cards (user_id, card) VALUES ($1, $2)",
        user,
        sealed(by_place["contact_cards.card"], user),
    )
    await rows.execute(
        """INSERT INTO touches (id, user_id, side, expires_at, state, partner_card)
        VALUES ($1, $2, 1, now(), 'exchanged', $3)""",
        touch,
        user,
        sealed(by_place["touches.partner_card"], touch),
    )
    columns = [item for item in SEALED_COLUMNS if item.table == "rings"]
    await rows.execute(
        f"""INSERT INTO rings (id, user_id, kind, status, label,
          {", ".join(item.column for item in columns)})
        VALUES ($1, $2, 'ble', 'active', 'ring', $3, $4, $5, $6, $7)""",
        ring,
        user,
        *(sealed(item, ring) for item in columns),
    )
    await rows.execute(
        """INSERT INTO ring_claims (id, user_id, ring_id, code_hash, label, nonce,
          hub_public_key, hub_private_key, expires_at)
        VALUES ($1, $2, $3, '', 'ring', $4, $5, $6, now())""",
        claim,
        user,
        ring,
        bytes(8),
        bytes(32),
        sealed(by_place["ring_claims.hub_private_key"], claim),
    )
    participant = ids.new_id()
    await rows.execute(
        """WITH said AS (
          INSERT INTO interactions (user_id, kind, occurred_at) VALUES ($1, 'call', now())
          RETURNING id
        )
        INSERT INTO interaction_participants (
          id, user_id, interaction_id, role, address_kind, address, address_hash
        )
        SELECT $2, $1, id, 'from', 'email', $3, '' FROM said""",
        user,
        participant,
        sealed(by_place["interaction_participants.address"], participant),
    )
    contact, method, chunk, entry = (ids.new_id() for _ in range(4))
    await rows.execute(
        """WITH known AS (
          INSERT INTO contacts (id, user_id, full_name, notes) VALUES ($2, $1, 'Grace Hopper', $3)
        )
        INSERT INTO contact_methods (id, user_id, contact_id, kind, value, value_hash)
        VALUES ($4, $1, $2, 'email', $5, '')""",
        user,
        contact,
        sealed(by_place["contacts.notes"], contact),
        method,
        sealed(by_place["contact_methods.value"], method),
    )
    await rows.execute(
        """WITH file AS (
          INSERT INTO import_jobs (user_id, format, file_bytes) VALUES ($1, 'vcard', 1)
          RETURNING id
        ), piece AS (
          INSERT INTO import_chunks (id, user_id, import_id, position, content)
          SELECT $2, $1, id, 0, $3 FROM file
        )
        INSERT INTO import_rows (id, user_id, import_id, position, status, payload)
        SELECT $4, $1, id, 1, 'pending', $5 FROM file""",
        user,
        chunk,
        sealed(by_place["import_chunks.content"], chunk),
        entry,
        sealed(by_place["import_rows.payload"], entry),
    )
    answer = ids.new_id()
    await rows.execute(
        """INSERT INTO idempotency_keys (id, user_id, key, request_hash, response_body, expires_at)
        VALUES ($1, $2, 'k', '', $3, now())""",
        answer,
        user,
        sealed(by_place["idempotency_keys.response_body"], answer),
    )
    process = Process(system_pool, OLD_RING)
    assert (await rotate(process)).resealed == len(SEALED_COLUMNS)
    for item in SEALED_COLUMNS:
        row = await rows.fetchrow(
            f"""SELECT {item.row_id} AS id, {item.column} AS sealed FROM {item.table}
            WHERE {item.column} IS NOT NULL"""
        )
        opened = process.open(row["sealed"], row["id"], item.bound_to)
        assert opened == (b"ada@example.com" if item is EMAIL else item.place.encode())
        assert row["sealed"][0] == DATA_KEY_VERSION
    assert (await service.read_status(system_pool)).to_reseal == 0


async def test_sealing_anew_changes_nothing_that_anybody_sees(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    await add_user(rows, FieldCipher(OLD_RING), "ada@example.com")
    seen = (
        "SELECT (SELECT count(*) FROM audit_log WHERE resource_type = 'users'), updated_at, "
        "(SELECT count(*) FROM outbox) FROM users"
    )
    before = await rows.fetchrow(seen)
    await rotate(Process(system_pool, OLD_RING))
    assert await rows.fetchrow(seen) == before
    # The rotation itself is on record.
    assert await rows.fetchval("SELECT count(*) FROM audit_log WHERE resource_type = 'data_keys'")


async def test_a_new_data_key_is_known_to_all_before_it_seals(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    early, late = Process(system_pool, OLD_RING), Process(system_pool, OLD_RING)
    for process in (early, late):
        await process.refresh()
    first = early.cipher.sealing_mark("users.email")
    assert await service.make_keys(system_pool, early.wrapping, 60.0) == 2
    await early.refresh()
    early.seconds += 59
    assert early.cipher.sealing_mark("users.email") == first
    early.seconds += 2
    row = ids.new_id()
    sealed = early.seal(b"new", row)
    assert key_mark(sealed) != first
    # Whoever has not looked for that long says so, and can a moment later.
    late.seconds += 61
    asked: list[bool] = []
    late.data_keys.wanted = lambda: asked.append(True)
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        late.open(sealed, row)
    assert asked
    await late.refresh()
    assert late.open(sealed, row) == b"new"


async def test_a_process_that_stood_still_looks_anew_before_it_goes_on(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    early, late = Process(system_pool, OLD_RING), Process(system_pool, OLD_RING)
    settings = config.Keys(refresh_seconds=3600)
    async with service.kept(system_pool, late.cipher, settings):
        await early.refresh()
        await service.make_keys(system_pool, early.wrapping, 60.0)
        await begin_to_seal(rows, early)
        sealed = early.seal(b"new", row := ids.new_id())
        # Longer than anything is kept; several requests find themselves there.
        late.seconds += 7200
        await asyncio.gather(*(late.data_keys.come_up_to_date() for _ in range(5)))
        assert late.data_keys.is_current
        assert late.open(sealed, row) == b"new"
        assert late.open(late.seal(b"more", row), row) == b"more"


async def test_nobody_waits_for_keys_while_the_database_is_away(
    system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, tries = Process(system_pool, OLD_RING), asyncio.Semaphore(0)

    async def refused(*_: object) -> None:
        tries.release()
        raise DomainError("service.unavailable")

    monkeypatch.setattr(service, "_RENEWAL_SECONDS", 3600)
    async with service.kept(system_pool, process.cipher, config.Keys(refresh_seconds=3600)):
        monkeypatch.setattr(service, "refresh", refused)
        process.seconds += 7200
        # The first one is told of the failure, the others know of it.
        for _ in range(5):
            await process.data_keys.come_up_to_date()
        assert not process.data_keys.is_current
        await tries.acquire()


async def test_a_list_is_as_old_as_the_question(
    system_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    inner = service._list

    async def slowly(pool: Pool) -> list[StoredKey]:
        found = await inner(pool)
        process.seconds += 61
        return found

    monkeypatch.setattr(service, "_list", slowly)
    await process.refresh()
    # What was announced meanwhile may seal by now.
    assert not process.data_keys.is_current


async def test_a_key_that_was_never_announced_is_a_broken_value_not_an_outage(
    system_pool: Pool,
) -> None:
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    forged = bytes((DATA_KEY_VERSION,)) + os.urandom(60)
    with pytest.raises(DecryptionError, match="unknown data key"):
        process.open(forged, ids.new_id())


async def test_writers_never_lose_a_write_to_the_rotation(
    system_pool: Pool, rows: asyncpg.Connection, database: Database
) -> None:
    old = FieldCipher(OLD_RING)
    users = [await add_user(rows, old, f"first-{n}@example.com") for n in range(60)]
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    written: dict[UUID, str] = {}
    is_under_way, is_over = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        connection = await asyncpg.connect(database.superuser_url)
        turn = 0
        while not is_over.is_set():
            turn += 1
            user = users[turn * 7 % len(users)]
            email = f"turn-{turn}@example.com"
            # Some of the writers have not heard of data keys yet.
            cipher = process.cipher if turn % 2 else old
            sealed = cipher.seal(email.encode(), column="users.email", row=user.bytes)
            await connection.execute("UPDATE users SET email = $2 WHERE id = $1", user, sealed)
            written[user] = email
            if len(written) > 5:
                is_under_way.set()
        await connection.close()

    writing = asyncio.create_task(write())
    await is_under_way.wait()
    for _ in range(5):
        await service.reseal(system_pool, process.cipher, batch_rows=7, progress=unheard)
    is_over.set()
    await writing
    await service.reseal(system_pool, process.cipher, batch_rows=7, progress=unheard)
    expected = {user: f"first-{n}@example.com" for n, user in enumerate(users)} | written
    assert await emails(rows, process) == expected
    assert (await service.read_status(system_pool)).to_reseal == 0


async def test_a_rotation_that_was_cut_off_goes_on_where_it_was(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    for n in range(30):
        await add_user(rows, FieldCipher(OLD_RING), f"{n}@example.com")
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    seen: list[int] = []

    def cut(place: str, values: int) -> None:
        seen.append(values)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await service.reseal(system_pool, process.cipher, batch_rows=10, progress=cut)
    assert (await service.read_status(system_pool)).to_reseal == 10
    assert (await rotate(process)).resealed == 10
    assert len(set((await emails(rows, process)).values())) == 30


async def test_a_value_that_nobody_can_open_is_left_and_counted(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    lost = await add_user(rows, FieldCipher(KeyRing({9: os.urandom(32)})), "lost@example.com")
    noise = await add_user(rows, process.cipher, "noise@example.com")
    await rows.execute("UPDATE users SET email = 'sealed' WHERE id = $1", noise)
    before = await rows.fetchval("SELECT email FROM users WHERE id = $1", lost)
    done = await rotate(process)
    assert (done.resealed, done.unreadable) == (0, 2)
    assert await rows.fetchval("SELECT email FROM users WHERE id = $1", lost) == before
    status = await service.read_status(system_pool)
    assert (status.ring_values, status.unknown_values) == ({"9": 1}, 1)


async def test_an_old_data_key_is_forgotten_when_nobody_uses_it_and_not_before(
    system_pool: Pool, rows: asyncpg.Connection
) -> None:
    process = Process(system_pool, OLD_RING)
    await process.refresh()
    user = await add_user(rows, process.cipher, "ada@example.com")
    await service.make_keys(system_pool, process.wrapping, 0.0)
    # Its successor seals only since now: another process may still have the old one.
    assert await service.retire(system_pool, 3600) == 0
    await rows.execute("UPDATE data_keys SET seals_from = now() - interval '2 hours'")
    # Of the two old keys one still has a value.
    assert await service.retire(system_pool, 3600) == 1
    fresh = Process(system_pool, OLD_RING)
    done = await rotate(fresh)
    assert (done.resealed, done.retired) == (1, 1)
    status = await service.read_status(system_pool)
    assert {(key.number, key.state) for key in status.data_keys} == {
        (1, "retired"),
        (2, "sealing"),
    }
    assert await rows.fetchval("SELECT count(*) FROM data_keys WHERE wrapped IS NOT NULL") == 2
    assert await emails(rows, fresh) == {user: "ada@example.com"}


@pytest.mark.req("SEC-08")
async def test_while_a_kms_is_away_keys_in_memory_go_on_and_others_are_an_outage(
    system_pool: Pool,
) -> None:
    async with serving(TransitDouble()) as transit:
        keys = config.Keys(kms_url=transit.url, kms_token=TOKEN)
        running, starting = (Process(system_pool, None, keys) for _ in range(2))
        await running.refresh()
        row = ids.new_id()
        sealed = running.seal(b"secret", row)
        transit.is_sealed = True
        for process in (running, starting):
            process.seconds += 3000
            with pytest.raises(DomainError, match="Temporarily unavailable"):
                await process.refresh()
        assert running.open(sealed, row) == b"secret"
        assert running.open(running.seal(b"more", row), row) == b"more"
        for attempt in (lambda: starting.open(sealed, row), lambda: starting.seal(b"x", row)):
            with pytest.raises(DomainError, match="Temporarily unavailable"):
                attempt()
        running.seconds += 601
        with pytest.raises(DomainError, match="Temporarily unavailable"):
            running.open(sealed, row)
        transit.is_sealed = False
        for process in (running, starting):
            await process.refresh()
            assert process.open(sealed, row) == b"secret"


async def test_moving_to_a_kms_is_a_rotation(system_pool: Pool, rows: asyncpg.Connection) -> None:
    before = Process(system_pool, OLD_RING)
    await before.refresh()
    user = await add_user(rows, before.cipher, "ada@example.com")
    async with serving(TransitDouble()) as transit:
        keys = config.Keys(kms_url=transit.url, kms_token=TOKEN)
        assert (await rotate(Process(system_pool, OLD_RING, keys))).rewrapped == 2
        transit.rotate()
        assert (await rotate(Process(system_pool, None, keys))).rewrapped == 2
        after = Process(system_pool, None, keys)
        await after.refresh()
        assert await emails(rows, after) == {user: "ada@example.com"}
