"""What timing each statement costs: a page of messages with it, and as if it were not there."""

import time
from statistics import median

import pytest

from core.actor import SYSTEM, Actor
from core.db import Pool, begin, query
from core.db.query import Query
from core.ids import UserId, new_id
from hub.domains.messaging import service
from hub.domains.messaging.schemas import NewMessage
from tests.fixtures.postgres import Database
from tests.fixtures.world import connect, create_user

ROUNDS = 41
PAGES_PER_ROUND = 100
MESSAGES = 50
NOTHING = query(int, "SELECT 1", login="system")


@pytest.mark.bench
async def test_timing_costs_little(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await connect(database)
    ada, grace = [await create_user(admin, name) for name in ("Ada", "Grace")]
    await admin.close()
    actor = Actor(kind="user", user_id=UserId(ada))
    pool = await Pool.open(database.api_url, max_size=1)
    async with begin(pool, actor) as tx:
        conversation, _ = await service.open_direct(tx, grace)
        for _ in range(MESSAGES):
            await service.send_message(
                tx, conversation.id, NewMessage(body="hello", client_key=str(new_id()))
            )

    async def pages() -> float:
        # The client's CPU: what it waits for is the server's, and the neighbours'.
        started = time.process_time()
        for _ in range(PAGES_PER_ROUND):
            async with begin(pool, actor, read_only=True) as tx:
                await service.list_messages(tx, conversation.id, limit=MESSAGES, cursor=None)
        return (time.process_time() - started) / PAGES_PER_ROUND

    ratios: list[float] = []
    timed: list[float] = []
    await pages()
    for number in range(ROUNDS):
        took: dict[bool, float] = {}
        # In turns, so that neither always comes first.
        for is_timed in (number % 2 == 0, number % 2 == 1):
            with monkeypatch.context() as patched:
                if not is_timed:
                    patched.setattr(Query, "_took", lambda *_: None)
                took[is_timed] = await pages()
        timed.append(took[True])
        ratios.append(took[True] / took[False])
    await pool.close()

    async with begin(own := await Pool.open(database.system_url, max_size=1), SYSTEM) as tx:
        await NOTHING.one(tx)
        started = time.perf_counter()
        for _ in range(10_000):
            NOTHING._took(tx, time.monotonic())
        each = (time.perf_counter() - started) / 10_000
    await own.close()
    print(f"\na page of {MESSAGES} messages, timed  {median(timed) * 1000:.2f} ms")
    print(f"ratio to the same untimed         {median(ratios):.3f}")
    print(f"timing one statement              {each * 1e6:.1f} µs")
    assert each < 0.02 * median(timed)
