"""A worker that is killed in the middle of an import leaves nothing half-done or doubled."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from core.actor import Actor
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin
from core.ids import UserId
from hub.domains.contacts.service import Keys
from hub.domains.imports import service
from hub.domains.imports.service import NewImport
from tests.fixtures.hub_process import HubProcess
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, create_user
from tests.hub.domains.imports.test_many import cards

COUNT = 3000
QUICK = {"PINGHUB_RELAY__STALE_TASK_SECONDS": "2", "PINGHUB_RELAY__SWEEP_SECONDS": "0.5"}


@pytest.mark.soak
@pytest.mark.req("CON-04")
async def test_import_goes_on_where_a_killed_worker_left_it(
    admin: Any, api_pool: Pool, process_settings: dict[str, str], tmp_path: Path
) -> None:
    settings = process_settings | QUICK
    user_id = await create_user(admin, "Ada Lovelace")
    keys = Keys(FieldCipher(KeyRing.parse(FIELD_KEYS)), INDEX_KEY)
    async with begin(api_pool, Actor(kind="user", user_id=UserId(user_id))) as tx:
        new = NewImport(format="vcard", data=cards(COUNT))
        await service.begin_import(tx, keys, new)
    with HubProcess("relay", settings, tmp_path / "relay.log") as relay:
        relay.ready()
        for share in (0.1, 0.5):
            with HubProcess("worker", settings, tmp_path / f"dead-{share}.log") as dead:
                await until(admin, "SELECT items_processed > $1 FROM import_jobs", share * COUNT)
                dead.kill()
        with HubProcess("worker", settings, tmp_path / "heir.log"):
            await until(admin, "SELECT status = 'completed' FROM import_jobs")
    job = await admin.fetchrow("SELECT items_created, items_processed FROM import_jobs")
    assert tuple(job) == (COUNT, COUNT)
    assert (
        await admin.fetchval("SELECT count(DISTINCT full_name) FROM contacts WHERE NOT is_self")
        == await admin.fetchval("SELECT count(*) FROM contacts WHERE NOT is_self")
        == COUNT
    )


async def until(admin: Any, statement: str, *args: object) -> None:
    """Wait until a query says true."""
    deadline = time.monotonic() + 120
    while not await admin.fetchval(statement, *args):
        assert time.monotonic() < deadline, f"still false after 120 s: {statement}"
        await asyncio.sleep(0.02)
