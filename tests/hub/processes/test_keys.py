"""`pinghub keys`: rotations that are killed again and again while others write lose nothing."""

import asyncio
import json
import os
import random
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from core import config, ids
from core.crypto import FieldCipher, KeyRing
from core.data_keys import DataKeys
from core.db import Pool
from hub.domains.encryption import service
from hub.processes import keys
from hub.providers.key_wrapping import open_wrapping
from tests.fixtures.app import Running, User
from tests.fixtures.hub_process import environment
from tests.fixtures.postgres import Database

OLD, NEW = os.urandom(32), os.urandom(32)
RINGS = f"1:{b64encode(OLD).decode()},2:{b64encode(NEW).decode()}"
RUN = "import sys; from hub.cli import main; sys.argv[1:] = {arguments!r}; main()"


async def start(settings: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN.format(arguments=list(arguments)),
        env={"PATH": os.environ["PATH"], **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(settings: dict[str, str], *arguments: str) -> dict[str, object]:
    process = await start(settings, *arguments, "--json")
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return json.loads(out)


async def rotate_under_load(
    database: Database, pool: Pool, home: Path, *, users: int, kills: int
) -> None:
    """Kill rotations at random moments under a writer; at the end every value is the last one."""
    settings = {
        **environment(home, database),
        "PINGHUB_KEYS__FIELD_KEYS": RINGS,
        "PINGHUB_KEYS__REFRESH_SECONDS": "0.2",
    }
    ring = KeyRing({1: OLD})
    cipher = FieldCipher(ring, DataKeys(cache_seconds=3600, announce_seconds=0.6))
    both = KeyRing({1: OLD, 2: NEW})
    rows = await asyncpg.connect(database.superuser_url)
    expected: dict[UUID, str] = {}

    def sealed(user: UUID, email: str) -> bytes:
        expected[user] = email
        return cipher.seal(email.encode(), column="users.email", row=user.bytes)

    kept_by = config.Keys(refresh_seconds=0.2)
    writer_cipher = FieldCipher(both, cipher.data_keys)
    async with service.kept(pool, writer_cipher, kept_by):
        people = [ids.new_id() for _ in range(users)]
        await rows.executemany(
            "INSERT INTO users (id, full_name, email) VALUES ($1, 'Ada', $2)",
            [(user, sealed(user, f"{n}@example.com")) for n, user in enumerate(people)],
        )
        is_over = asyncio.Event()

        async def write() -> int:
            connection = await asyncpg.connect(database.superuser_url)
            writes = 0
            while not is_over.is_set():
                user = random.choice(people)
                email = f"{writes}.{user}@example.com"
                await connection.execute(
                    "UPDATE users SET email = $2 WHERE id = $1", user, sealed(user, email)
                )
                writes += 1
            await connection.close()
            return writes

        writing = asyncio.create_task(write())
        for _ in range(kills):
            process = await start(settings, "keys", "rotate", "--data-keys")
            # Between the start of the interpreter and well into the work.
            await asyncio.wait(
                [asyncio.create_task(process.wait())], timeout=random.uniform(0.8, 2.5)
            )
            if process.returncode is None:
                process.kill()
                await process.wait()
        done = await run(settings, "keys", "rotate", "--data-keys")
        assert done["unreadable"] == 0
        is_over.set()
        assert await writing > users / 10
    await run(settings, "keys", "rotate")
    status = await run(settings, "keys", "status")
    assert (status["to_reseal"], status["unknown_values"], status["ring_values"]) == (0, 0, {})
    reader = FieldCipher(KeyRing({2: NEW}), DataKeys(cache_seconds=60, announce_seconds=1))
    assert reader.data_keys is not None
    await service.refresh(pool, reader.data_keys, open_wrapping(config.Keys(), reader.ring))
    found = {
        row["id"]: reader.open(row["email"], column="users.email", row=row["id"].bytes).decode()
        for row in await rows.fetch("SELECT id, email FROM users")
    }
    await rows.close()
    assert found == expected


@pytest.mark.req("SEC-01")
async def test_a_killed_rotation_loses_no_write_and_the_next_one_ends_it(
    database: Database, system_pool: Pool, tmp_path: Path
) -> None:
    await rotate_under_load(database, system_pool, tmp_path, users=400, kills=1)


@pytest.mark.soak
async def test_many_killed_rotations_lose_no_write(
    database: Database, system_pool: Pool, tmp_path: Path
) -> None:
    await rotate_under_load(database, system_pool, tmp_path, users=50_000, kills=25)


@pytest.mark.req("SEC-01")
async def test_an_operator_moves_the_indexes_and_sees_which_key_has_none_left(
    hub: Running, ada: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = replace(hub.settings, keys=replace(hub.settings.keys, refresh_seconds=0.1))
    monkeypatch.setattr(config, "load", lambda: quick)

    async def said(command: Callable[..., None], **options: bool) -> str:
        capsys.readouterr()
        # The command runs a loop of its own, as in a shell.
        await asyncio.to_thread(command, **options)
        return capsys.readouterr().out

    assert "keys.index_key  1 blind indexes under no index key" in await said(keys.status)
    assert "1 blind indexes moved" in await said(keys.rotate, index_keys=True)
    assert "index 1  sealing, 1 values" in await said(keys.status)
    done = json.loads(await said(keys.rotate, index_keys=True, as_json=True))
    assert (done["made"], done["reindexed"], done["resealed"]) == (1, 1, 0)
    told = await said(keys.status)
    assert "index 1  opening, 0 values" in told
    assert "index 2  sealing, 1 values" in told
    assert "0 blind indexes to move" in told
    assert "keys.index_key" not in told
    assert (await ada.client.get("/v1/me")).json()["email"] == "ada.lovelace@example.com"
