"""A schema moves while it is in use: nobody is refused, nothing is lost, nobody waits for long."""

import asyncio
import itertools
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import msgspec
import pytest

from core.actor import SYSTEM, Actor
from core.db import Pool, begin, query
from core.ids import UserId
from hub.processes import migrating
from migrations import locks, releases
from migrations.releases import Release
from tests.fixtures.postgres import Database, run
from tests.fixtures.world import World, create_world

# Their text fits every release; what they rest on are triggers, policies and functions.
ADD_USER = query(UUID, "INSERT INTO users (full_name) VALUES ($1) RETURNING id", login="system")
RECORD = query(str, "SELECT outcome FROM app.record_taps($1::jsonb)", login="system")
MY_TAPS = query(
    int, "SELECT seq::int FROM ring_taps WHERE ring_id = $1 ORDER BY received_at DESC LIMIT 20"
)
MY_NAME = query(str, "SELECT full_name FROM users WHERE id = app.user_id()")

# Right after a release has been frozen it is where `up` ends.
BELOW = [
    release for release in releases.read_all() if release.revision != migrating.newest_revision()
]
ALLOWED_WAIT_SECONDS = migrating.LOCK_SECONDS + locks.TAKING_SECONDS + 5.0
"""Both timeouts, and what the statements themselves take on a busy machine."""


@dataclass
class Load:
    """Readers and writers, what they got, and the longest that one of them waited."""

    api: Pool
    system: Pool
    world: World
    failures: list[BaseException] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    one_more: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    longest_seconds: float = 0.0
    is_over: bool = False
    seqs: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def read(self) -> None:
        actor = Actor(kind="user", user_id=UserId(self.world.user_id))
        async with begin(self.api, actor, read_only=True) as tx:
            assert await MY_NAME.one(tx) == "Ada Lovelace"
            await MY_TAPS.all(tx, self.world.ring_id)

    async def join(self) -> None:
        async with begin(self.system, SYSTEM) as tx:
            await ADD_USER.one(tx, "Grace Hopper")

    async def tap(self) -> None:
        tap = {
            "device_id": self.world.device_id.hex(),
            "kind": "button",
            "source": "ble",
            "boot": 1,
            "seq": next(self.seqs),
            "raw": secrets.token_hex(8),
        }
        async with begin(self.system, SYSTEM) as tx:
            await RECORD.all(tx, msgspec.json.encode([tap]).decode())

    async def repeat(self, request: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over:
            started_at = time.monotonic()
            try:
                await request()
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - started_at)
            except Exception as error:  # noqa: BLE001  # all are judged at the end
                self.failures.append(error)
                await asyncio.sleep(0.05)  # as a client that heard Retry-After, but sooner
            else:
                self.done[request.__name__] += 1
                # Busy, but not so that the machine has time for nothing else.
                await asyncio.sleep(0.01)
                self.one_more[request.__name__].set()


async def up_down_up(
    database: Database, release: Release, load: Load, clients_of_each: int
) -> None:
    requests = [load.read, load.tap, load.tap, load.join] * clients_of_each
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(load.repeat(request))
        try:
            await past_a_report(database)
            await goes_on(load)
            await asyncio.to_thread(migrating.downgrade, database.owner_url, release.revision)
            await goes_on(load)
            await asyncio.to_thread(migrating.upgrade, database.owner_url)
            await goes_on(load)
        finally:
            load.is_over = True


async def past_a_report(database: Database) -> None:
    """Go up while somebody reads in one transaction, until the migration has given way once."""
    loop, gave_way = asyncio.get_running_loop(), asyncio.Event()

    def tell(line: str) -> None:
        if line.startswith("waiting for locks"):
            loop.call_soon_threadsafe(gave_way.set)

    reader = await asyncpg.connect(database.system_url)
    try:
        await reader.execute("BEGIN; SELECT FROM messages")
        upgrade = asyncio.create_task(
            asyncio.to_thread(migrating.upgrade, database.owner_url, tell=tell)
        )
        await asyncio.wait_for(gave_way.wait(), 10)
        await reader.execute("COMMIT")
        await upgrade
    finally:
        await reader.close()


async def goes_on(load: Load) -> None:
    """Return when a request of each kind has been served from now on."""
    for one_more in load.one_more.values():
        one_more.clear()
    async with asyncio.timeout(10):
        await asyncio.gather(*(load.one_more[name].wait() for name in ("read", "tap", "join")))


async def moved_under_load(database: Database, release: Release, clients_of_each: int) -> Load:
    """Move a database of a release up, down and up, and prove that every row has its event."""
    owner = await asyncpg.connect(database.superuser_url)
    load = Load(
        api=await Pool.open(database.api_url, max_size=10),
        system=await Pool.open(database.system_url, max_size=10),
        world=await create_world(owner),
    )
    try:
        await up_down_up(database, release, load, clients_of_each)
        counts = await owner.fetchrow(
            """
            SELECT
              (SELECT count(*) FROM ring_taps) AS taps,
              (SELECT count(*) FROM events WHERE type = 'ring.tapped') AS events,
              (SELECT count(*) FROM users) AS users,
              (SELECT count(*) FROM profiles) AS profiles
            """
        )
    finally:
        await load.api.close()
        await load.system.close()
        await owner.close()
    assert counts is not None
    assert counts["taps"] == counts["events"] == load.done["tap"]
    assert counts["users"] == counts["profiles"] == load.done["join"] + 1
    return load


@pytest.mark.req("MIG-03")
def test_a_database_of_the_newest_release_goes_up_down_and_up_in_use(
    blank_database: Database,
) -> None:
    judge(blank_database, BELOW[-1])


@pytest.mark.soak
@pytest.mark.parametrize("release", BELOW, ids=lambda release: release.version)
def test_a_database_of_any_release_goes_up_down_and_up_in_heavy_use(
    blank_database: Database, release: Release
) -> None:
    judge(blank_database, release, clients_of_each=4)


def judge(database: Database, release: Release, clients_of_each: int = 1) -> None:
    migrating.upgrade(database.owner_url, release.revision)
    load = run(moved_under_load(database, release, clients_of_each))
    print(f"{dict(load.done)}, the longest {load.longest_seconds:.2f} s")
    assert load.failures == []
    assert load.longest_seconds < ALLOWED_WAIT_SECONDS
