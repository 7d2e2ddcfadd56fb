"""The daily pass over many relationships, half of them of one user: in one chain of batches.

The first night finds nothing computed before and tells of everybody; the second one is as all that
follow. `PING_BENCH_CONTACTS` says how many; a million take a quarter of an hour. On a machine that
does other things as well, the CPU that it takes says more than the time.
"""

import os
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import Pool, begin
from core.db.bootstrap import LOGINS, at_database, bootstrap
from hub.domains.relationships import service
from hub.embedded import postgres as embedded
from hub.processes import migrating
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import PASSWORD, Database, run

pytestmark = pytest.mark.bench

CONTACTS = int(os.environ.get("PING_BENCH_CONTACTS", "100000"))
USERS = max(1, CONTACTS // 200)
"""Besides the one who has half of the contacts; with a hundred each."""
INTERACTIONS_EACH = 5
PASS_SECONDS = 600.0

# Interactions of a contact are a month apart and get rarer; in each fifth one of them two more took
# part. A tenth of the contacts is in a circle.
_LOAD = f"""
SET session_replication_role = replica;
DROP INDEX interactions_tsv_idx;
INSERT INTO users (full_name) SELECT 'User ' || n FROM generate_series(0, {USERS}) AS n;
CREATE TEMP TABLE people AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM users;
INSERT INTO contacts (user_id, full_name)
SELECT p.id, 'Contact ' || c
FROM people AS p
CROSS JOIN LATERAL generate_series(
  1, CASE p.n WHEN 0 THEN {CONTACTS // 2} ELSE {CONTACTS // 2 // USERS} END
) AS c;
INSERT INTO circles (user_id, name, tier, cadence_days) SELECT id, 'Close', 1, 30 FROM people;
INSERT INTO circle_members (user_id, circle_id, contact_id, is_primary)
SELECT c.user_id, k.id, c.id, true
FROM contacts AS c
JOIN circles AS k ON k.user_id = c.user_id
WHERE hashtext(c.id::text) % 10 = 0;
INSERT INTO interactions (user_id, contact_id, kind, direction, occurred_at, duration_seconds)
SELECT c.user_id, c.id, 'call', (ARRAY['inbound', 'outbound', 'mutual'])[1 + g % 3],
  now() - (g * g + random() * 60) * interval '10 days', 300 * g
FROM contacts AS c
CROSS JOIN generate_series(1, {INTERACTIONS_EACH}) AS g;
CREATE TEMP TABLE numbered AS
SELECT user_id, id, row_number() OVER (PARTITION BY user_id) AS n,
  count(*) OVER (PARTITION BY user_id) AS among
FROM contacts;
INSERT INTO interaction_participants (
  user_id, interaction_id, contact_id, role, occurred_at, is_private
)
SELECT i.user_id, i.id, other.id, 'attendee', i.occurred_at, false
FROM interactions AS i
JOIN numbered AS c ON c.id = i.contact_id
CROSS JOIN generate_series(0, 2) AS beside
JOIN numbered AS other ON other.user_id = c.user_id AND other.n = 1 + (c.n + beside * 7) % c.among
WHERE hashtext(i.id::text) % 5 = 0;
INSERT INTO relationship_health (
  user_id, contact_id, score, strength, band, trend, components, next_touch_at, band_since,
  baseline, told_score, computed_at
)
SELECT user_id, id, 0, 0, 'cold', 'steady', '{{}}', now(), now(), 0, 0, now() FROM contacts;
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database with the rows, on a server of its own."""
    home: Path = tmp_path_factory.mktemp("health")
    options = ("fsync=off", "shared_buffers=1GB", "max_wal_size=4GB")
    server = embedded.start(home, free_port(), options=options)
    name = f"bench_{uuid4().hex}"
    run(bootstrap(server.url, name, dict.fromkeys(LOGINS, PASSWORD)))
    database = Database(name, at_database(server.url, name))
    migrating.upgrade(database.owner_url)
    run(_load(database))
    yield database
    server.stop()


async def _load(database: Database) -> None:
    connection: Any = await asyncpg.connect(database.superuser_url)
    begun = time.perf_counter()
    await connection.execute(_LOAD)
    await connection.execute("VACUUM ANALYZE")
    print(f"\nloaded in {time.perf_counter() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
    await connection.close()


async def _postgres_seconds(connection: Any) -> float:
    """Return the CPU that all backends have taken by now."""
    rows: list[Any] = await connection.fetch("SELECT pid FROM pg_stat_activity")
    return sum(_cpu_seconds(row["pid"]) for row in rows)


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it has ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.timeout(3600)
async def test_a_night_is_long_enough(loaded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC)
    pool = await Pool.open(loaded.system_url, max_size=2)
    superuser: Any = await asyncpg.connect(loaded.superuser_url)
    took = 0.0
    try:
        for night in range(2):
            now = today + timedelta(days=night)
            monkeypatch.setattr(clock, "now", lambda now=now: now)
            told = await superuser.fetchval("SELECT count(*) FROM outbox")
            wrote = await superuser.fetchval("SELECT count(*) FROM health_snapshots")
            begun = time.perf_counter()
            cpu = resource.getrusage(resource.RUSAGE_SELF)
            postgres = await _postgres_seconds(superuser)
            batches = 0
            slowest = 0.0
            is_left = True
            while is_left:
                batch_begun = time.perf_counter()
                async with begin(pool, SYSTEM) as tx:
                    is_left = await service.recalculate(tx)
                slowest = max(slowest, time.perf_counter() - batch_begun)
                batches += is_left
            took = time.perf_counter() - begun
            spent = resource.getrusage(resource.RUSAGE_SELF)
            postgres = await _postgres_seconds(superuser) - postgres
            told = await superuser.fetchval("SELECT count(*) FROM outbox") - told
            wrote = await superuser.fetchval("SELECT count(*) FROM health_snapshots") - wrote
            print(
                f"night {night + 1}: {CONTACTS} in {took:.1f} s, {CONTACTS / took:.0f}/s,"
                f" {batches} batches, slowest {slowest * 1000:.0f} ms,"
                f" CPU of Python {spent.ru_utime - cpu.ru_utime:.1f} s, of PostgreSQL"
                f" {postgres:.1f} s, {told} told, {wrote} snapshots,"
                f" load {os.getloadavg()[0]:.1f}"
            )
    finally:
        await superuser.close()
        await pool.close()
    assert took <= PASS_SECONDS * CONTACTS / 1_000_000
