"""Blind indexes move from key to key while people sign in by them."""

import asyncio
import os
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from core import ids
from core.actor import SYSTEM
from core.crypto import KeyRing
from core.data_keys import INDEX_SCOPE
from core.db import Pool, begin
from core.errors import DomainError
from core.sealed_columns import INDEXED_COLUMNS
from hub.domains.accounts import service as accounts
from hub.domains.encryption import service
from hub.domains.reads import service as reads
from hub.domains.reads.mqtt import read_read
from hub.domains.rings import service as rings
from tests.fixtures.tags import SUN_UID, give_tag, link, message
from tests.fixtures.world import INDEX_KEY, SUN_MASTER_KEY, World
from tests.hub.domains.encryption.processes import Process, rotate, unheard

RING = KeyRing({1: os.urandom(32)})


@pytest_asyncio.fixture
async def process(system_pool: Pool) -> Process:
    process = Process(system_pool, RING)
    await process.refresh()
    return process


async def add_person(process: Process, email: str) -> UUID:
    """Return the user with an address, new if nobody has it."""
    async with begin(process.pool, SYSTEM) as tx:
        return await accounts.add_user(
            tx,
            full_name="Ada",
            email=email,
            timezone="UTC",
            cipher=process.cipher,
            index_key=INDEX_KEY,
        )


async def add_ring(process: Process) -> tuple[bytes, str]:
    device_id, uid = os.urandom(8), b"\x04" + os.urandom(6)
    async with begin(process.pool, SYSTEM) as tx:
        await rings.add_ring(
            tx,
            device_id=device_id,
            nfc_uid=uid,
            claim_code=device_id.hex(),
            cipher=process.cipher,
            index_key=INDEX_KEY,
        )
    return uid, device_id.hex()


def sealed(process: Process, place: str) -> tuple[UUID, bytes]:
    """Return the id of a row to come, and an address as it stands there."""
    row_id = ids.new_id()
    return row_id, process.cipher.seal(b"ada@example.com", column=place, row=row_id.bytes)


async def new_index_key(*processes: Process) -> None:
    """Make an index key that writes from now on, and let the processes know."""
    first = processes[0]
    assert await service.make_keys(first.pool, first.wrapping, 0.0, {INDEX_SCOPE}) == 1
    for process in processes:
        await process.refresh()


async def marks(admin: asyncpg.Connection, place: str) -> set[bytes]:
    """Return how the stored indexes of a column begin; those without a key as empty."""
    table, column = place.split(".")
    rows = await admin.fetch(f"SELECT {column} AS stored FROM {table} WHERE {column} IS NOT NULL")
    return {b"" if len(row["stored"]) == 32 else row["stored"][:5] for row in rows}


@pytest.mark.req("SEC-01", "ACC-15")
async def test_every_index_moves_to_the_new_key_and_the_old_one_may_go(
    process: Process, admin: asyncpg.Connection
) -> None:
    user = await add_person(process, "ada@example.com")
    await add_ring(process)
    login = await admin.fetchval(
        """INSERT INTO user_logins (user_id, provider, issuer, subject, email_hash)
        VALUES ($1, 'google', 'https://accounts.google.com', 'ada', $2) RETURNING id""",
        user,
        os.urandom(32),
    )
    await admin.execute(
        """INSERT INTO identity_hashes (user_id, login_id, kind, hash)
        VALUES ($1, $2, 'email', $3)""",
        user,
        login,
        os.urandom(32),
    )
    await admin.execute(
        """WITH said AS (
          INSERT INTO interactions (user_id, kind, occurred_at) VALUES ($1, 'call', now())
          RETURNING id
        )
        INSERT INTO interaction_participants (
          id, user_id, interaction_id, role, address_kind, address, address_hash
        )
        SELECT $2, $1, id, 'from', 'email', $3, $4 FROM said""",
        user,
        *sealed(process, "interaction_participants.address"),
        os.urandom(32),
    )
    await admin.execute(
        """WITH known AS (
          INSERT INTO contacts (user_id, full_name) VALUES ($1, 'Grace Hopper') RETURNING id
        )
        INSERT INTO contact_methods (id, user_id, contact_id, kind, value, value_hash)
        SELECT $2, $1, id, 'email', $3, $4 FROM known""",
        user,
        *sealed(process, "contact_methods.value"),
        os.urandom(32),
    )
    await admin.execute(
        """WITH file AS (
          INSERT INTO import_jobs (user_id, format, file_bytes) VALUES ($1, 'vcard', 1)
          RETURNING id
        )
        INSERT INTO import_rows (user_id, import_id, position, status, content_hash)
        SELECT $1, id, 1, 'created', $2 FROM file""",
        user,
        os.urandom(32),
    )
    before = await service.read_status(process.pool)
    assert (before.bare_indexes, before.to_reindex) == (len(INDEXED_COLUMNS), 0)
    for number in (1, 2):
        await new_index_key(process)
        status = await service.read_status(process.pool)
        assert status.to_reindex == len(INDEXED_COLUMNS)
        assert (await rotate(process)).reindexed == len(INDEXED_COLUMNS)
        for item in INDEXED_COLUMNS:
            assert await marks(admin, item.place) == {process.cipher.indexes.mark()}, item.place
        status = await service.read_status(process.pool)
        used = {key.number: key.values for key in status.data_keys if key.scope == INDEX_SCOPE}
        assert used == {**dict.fromkeys(range(1, number), 0), number: len(INDEXED_COLUMNS)}
        assert (status.bare_indexes, status.to_reindex, status.unknown_values) == (0, 0, 0)
    await admin.execute("UPDATE data_keys SET seals_from = seals_from - interval '2 hours'")
    assert await service.retire(process.pool, 3600) == 1
    fresh = Process(process.pool, RING)
    await fresh.refresh()
    assert await add_person(fresh, "Ada@Example.com") == user


async def test_a_rotation_may_take_longer_than_a_list_of_keys_is_believed(
    process: Process, admin: asyncpg.Connection
) -> None:
    for number in range(3):
        await add_person(process, f"person-{number}@example.com")
    await new_index_key(process)

    def slowly(_place: str, _values: int) -> None:
        process.seconds += 61

    done = await service.rotate(
        process.pool, process.cipher, process.wrapping, with_new_keys=False, progress=slowly
    )
    assert (done.reindexed, done.unreadable) == (3, 0)
    assert await marks(admin, "users.email_hash") == {process.cipher.indexes.mark()}


async def test_an_address_is_one_persons_whichever_key_it_was_written_under(
    process: Process, system_pool: Pool, admin: asyncpg.Connection
) -> None:
    late = Process(system_pool, RING)
    await late.refresh()
    user = await add_person(process, "ada@example.com")
    await new_index_key(process, late)
    assert await add_person(process, "ADA@example.com ") == user
    other = await add_person(process, "grace@example.com")
    await new_index_key(process, late)
    for email, known in (("ada@example.com", user), ("grace@example.com", other)):
        assert await add_person(late, email) == known
    assert await admin.fetchval("SELECT count(*) FROM users") == 2


async def test_two_who_bring_one_address_at_once_under_two_keys_make_one_user(
    process: Process, system_pool: Pool, admin: asyncpg.Connection
) -> None:
    ahead = Process(system_pool, RING)
    await service.make_keys(system_pool, process.wrapping, 30.0, {INDEX_SCOPE})
    for each in (process, ahead):
        await each.refresh()
    # Its clock is ahead: the announced key writes there already.
    ahead.seconds = 31.0
    assert ahead.cipher.indexes.mark() != process.cipher.indexes.mark()
    found = await asyncio.gather(
        *(add_person(each, "ada@example.com") for each in (process, ahead) * 5)
    )
    assert len(set(found)) == 1
    assert await admin.fetchval("SELECT count(*) FROM users") == 1


async def test_a_move_that_was_cut_off_goes_on_where_it_was(
    process: Process, admin: asyncpg.Connection
) -> None:
    users = {email: await add_person(process, email) for email in _emails(25)}
    await new_index_key(process)
    seen: list[int] = []

    def cut(_place: str, values: int) -> None:
        seen.append(values)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await service.reindex(process.pool, process.cipher, batch_rows=10, progress=cut)
    assert (await service.read_status(process.pool)).to_reindex == 5
    assert len(await marks(admin, "users.email_hash")) == 2
    assert {email: await add_person(process, email) for email in users} == users
    assert (await rotate(process)).reindexed == 5


async def test_one_index_twice_keeps_no_other_from_moving(
    process: Process, admin: asyncpg.Connection
) -> None:
    for email in _emails(5):
        await add_person(process, email)
    await new_index_key(process)
    # As a release that knows of no index keys would add somebody who is there already.
    bare = accounts.email_index(INDEX_KEY, "0@example.com")
    taken = process.cipher.indexes.written(bare)
    await admin.execute(
        "INSERT INTO users (id, full_name, email_hash) VALUES ($1, 'Again', $2)",
        ids.new_id(),
        taken,
    )
    done, left = await service.reindex(process.pool, process.cipher, progress=unheard)
    assert (done, left) == (4, 1)
    assert (await service.read_status(process.pool)).to_reindex == 1


async def test_moving_indexes_changes_nothing_that_anybody_sees(
    process: Process, admin: asyncpg.Connection
) -> None:
    await add_person(process, "ada@example.com")
    await add_ring(process)
    seen = """SELECT (SELECT count(*) FROM audit_log WHERE resource_type <> 'data_keys'),
      (SELECT max(updated_at) FROM users), (SELECT max(updated_at) FROM rings),
      (SELECT count(*) FROM outbox)"""
    before = await admin.fetchrow(seen)
    await new_index_key(process)
    assert (await rotate(process)).reindexed == 3
    assert await admin.fetchrow(seen) == before


async def test_a_tag_is_read_at_every_moment_of_a_move(
    process: Process, admin: asyncpg.Connection, world: World
) -> None:
    await give_tag(admin, world, SUN_UID, has_keys=True)
    keys = reads.TagKeys(SUN_MASTER_KEY, INDEX_KEY, process.cipher)
    counter = 0

    async def read() -> str:
        nonlocal counter
        counter += 1
        arrival = read_read(message(world, link(counter)))
        assert arrival is not None
        (answer,) = await reads.record(process.pool, keys, [arrival])
        return answer.verdict

    assert await read() == "committed"
    for _ in range(2):
        await new_index_key(process)
        assert await read() == "committed"
        await service.reindex(process.pool, process.cipher, progress=unheard)
        assert await marks(admin, "rings.nfc_uid_hash") == {process.cipher.indexes.mark()}
        assert await read() == "committed"
    process.data_keys.list_all({1: INDEX_SCOPE})
    # What cannot be looked for is not unknown: the broker keeps it.
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        await read()


async def test_a_value_that_is_no_index_is_left_and_counted(
    process: Process, admin: asyncpg.Connection
) -> None:
    user = await add_person(process, "ada@example.com")
    await admin.execute("UPDATE users SET email_hash = 'no index' WHERE id = $1", user)
    await new_index_key(process)
    done = await rotate(process)
    assert (done.reindexed, done.unreadable) == (0, 1)
    assert (await service.read_status(process.pool)).unknown_values == 1


def _emails(count: int) -> list[str]:
    return [f"{number}@example.com" for number in range(count)]
