"""A real standby, which streams from the tests' PostgreSQL and then lags, catches up and dies."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from core import clock
from core.actor import SYSTEM
from core.config import Database as Settings
from core.db import Pool, Replica, begin, query
from hub.embedded import child
from hub.embedded import postgres as embedded
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import FAST, Database

ADD_USER = query(
    str, "INSERT INTO users (full_name) VALUES ($1) RETURNING full_name", login="system"
)
COUNT = query(int, "SELECT count(*)::int FROM users", login="system")
IS_STANDBY = query(bool, "SELECT pg_is_in_recovery()", login="system")


@dataclass
class Standby:
    """A server that streams, and where it is."""

    server: child.Service
    superuser_url: str
    replica_url: str


@pytest.fixture
def standby(database: Database, tmp_path: Path) -> Iterator[Standby]:
    """Copy the server and start the copy, as docs/deploy/postgresql.md says."""
    if os.environ.get("PINGHUB_TEST_DATABASE_URL"):
        pytest.skip("an external server is not ours to copy")
    primary = urlsplit(database.superuser_url)
    folder = tmp_path / "postgres"
    folder.mkdir(mode=0o700)
    subprocess.run(
        child.launched(
            [
                str(embedded.binary("pg_basebackup")),
                *("-h", str(primary.hostname), "-p", str(primary.port)),
                *("-U", str(primary.username), "-D", str(folder / "data"), "-R"),
                *("--checkpoint=fast", "--no-sync"),
            ],
            signal.SIGINT,
            "mapped",
        ),
        check=True,
        env={"PGPASSWORD": unquote(str(primary.password))},
        timeout=60,
    )
    port = free_port()
    server = embedded.start(tmp_path, port, options=FAST)
    at = f"127.0.0.1:{port}/{database.name}"
    login = primary.netloc.rpartition("@")[0]
    yield Standby(server, f"postgresql://{login}@{at}", f"postgresql://{at}")
    server.stop()


@pytest.mark.req("DBR-11")
async def test_reads_come_from_a_standby_until_it_is_late_or_gone(
    database: Database, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.monotonic_seconds()
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: now)
    settings = Settings(replica_url=standby.replica_url, replica_max_lag_seconds=0.2)
    primary = await Pool.open(database.system_url)
    replica = await Replica.open(settings, database.system_url, primary)
    superuser = await asyncpg.connect(standby.superuser_url)

    async def asked() -> tuple[bool, int]:
        async with replica.begin(SYSTEM) as tx:
            return await IS_STANDBY.one(tx), await COUNT.one(tx)

    async def add_user() -> None:
        async with begin(primary, SYSTEM) as tx:
            await ADD_USER.one(tx, "Ada")

    async def until(condition: str) -> None:
        async with asyncio.timeout(10):
            while not await superuser.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110  # another server's doing
                await asyncio.sleep(0.02)

    await add_user()
    await until("count(*) = 1 FROM users")
    assert await asked() == (True, 1)

    await superuser.execute("SELECT pg_wal_replay_pause()")
    await add_user()
    assert await asked() == (True, 1), "within the seconds between two looks it may be old"
    await until("now() - pg_last_xact_replay_timestamp() > interval '0.3 s'")
    now += 6
    assert await asked() == (False, 2)

    await superuser.execute("SELECT pg_wal_replay_resume()")
    await until("count(*) = 2 FROM users")
    now += 6
    assert await asked() == (True, 2)

    await superuser.close()
    standby.server.kill()
    assert await asked() == (False, 2), "no request fails while nobody knows yet"
    now += 6
    assert await asked() == (False, 2)
    await replica.close()
    await primary.close()
