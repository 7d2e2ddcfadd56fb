"""A worker that is killed in the middle of an import leaves nothing half-done or doubled."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.actor import Actor
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin
from core.ids import UserId
from hub.domains.contacts.service import Keys
from hub.domains.import_receiving.service import Upload
from hub.domains.imports import service
from hub.domains.imports.service import NewImport
from tests.fixtures.hub_process import HubProcess
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, create_user
from tests.hub.domains.imports.moving import book_of
from tests.hub.domains.imports.test_many import cards

COUNT = 3000
QUICK = {"PINGHUB_RELAY__STALE_TASK_SECONDS": "2", "PINGHUB_RELAY__SWEEP_SECONDS": "0.5"}


@pytest.mark.soak
@pytest.mark.req("CON-04", "CON-06")
async def test_import_goes_on_where_a_killed_worker_left_it(
    admin: Any, api_pool: Pool, process_settings: dict[str, str], tmp_path: Path
) -> None:
    settings = process_settings | QUICK
    ada, grace = [await create_user(admin, name) for name in ("Ada Lovelace", "Grace Hopper")]
    await hand_in(api_pool, ada)
    with HubProcess("relay", settings, tmp_path / "relay.log") as relay:
        relay.ready()
        for share in (0.1, 0.5):
            with HubProcess("worker", settings, tmp_path / f"dead-{share}.log") as dead:
                await until(admin, "SELECT items_processed > $1 FROM import_jobs", share * COUNT)
                dead.kill()
        with HubProcess("worker", settings, tmp_path / "heir.log"):
            await until(admin, "SELECT status = 'completed' FROM import_jobs")
            book = await book_of(admin, ada)
            for user_id in (ada, grace):
                await hand_in(api_pool, user_id)
            await until(admin, "SELECT every(status = 'completed') FROM import_jobs")
    jobs = await admin.fetch(
        "SELECT items_processed, items_created, items_known FROM import_jobs ORDER BY id"
    )
    assert [tuple(job) for job in jobs] == [(COUNT, COUNT, 0), (COUNT, 0, COUNT), (COUNT, COUNT, 0)]
    assert await book_of(admin, ada) == book
    assert await words_of(admin, ada) == await words_of(admin, grace)


async def hand_in(pool: Pool, user_id: UUID) -> None:
    """Hand in all cards as a user."""
    keys = Keys(FieldCipher(KeyRing.parse(FIELD_KEYS)), INDEX_KEY)
    data = cards(COUNT)
    file = Upload(format="vcard", data=data, file_bytes=len(data), digest=b"")
    async with begin(pool, Actor(kind="user", user_id=UserId(user_id))) as tx:
        await service.begin_import(tx, keys, NewImport(upload=file))


async def words_of(admin: Any, user_id: UUID) -> list[tuple[object, ...]]:
    """Return what an address book says, without ids and times."""
    rows = await admin.fetch(
        """SELECT c.full_name, c.first_name, c.last_name, c.company, c.birthday, c.source,
          c.notes IS NOT NULL,
          array_agg(concat_ws(' ', m.kind, m.label, m.is_primary) ORDER BY m.kind)
        FROM contacts AS c
        LEFT JOIN contact_methods AS m ON m.user_id = c.user_id AND m.contact_id = c.id
        WHERE c.user_id = $1 AND NOT c.is_self
        GROUP BY c.id
        ORDER BY c.full_name""",
        user_id,
    )
    assert len(rows) == COUNT
    return [tuple(row) for row in rows]


async def until(admin: Any, statement: str, *args: object) -> None:
    """Wait until a query says true."""
    deadline = time.monotonic() + 120
    while not await admin.fetchval(statement, *args):
        assert time.monotonic() < deadline, f"still false after 120 s: {statement}"
        await asyncio.sleep(0.02)
