"""`pinghub imports list`: what operators see of everybody's imports."""

import asyncio
import json
from typing import Any

import pytest

from core import config
from hub.processes import imports
from tests.fixtures.postgres import Database
from tests.fixtures.world import World


@pytest.fixture
def settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config.Settings(database=config.Database(system_url=database.system_url))
    monkeypatch.setattr(config, "load", lambda: given)


async def add(admin: Any, world: World, status: str, minutes: int) -> None:
    await admin.execute(
        """INSERT INTO import_jobs (
            user_id, format, file_name, file_bytes, status, error, items_total, items_processed,
            updated_at
        ) VALUES (
            $1, 'vcard', 'secret.vcf', 10, $2::text,
            CASE WHEN $2::text = 'failed' THEN 'import.empty' END, 10, 4,
            now() - make_interval(mins => $3)
        )""",
        world.user_id,
        status,
        minutes,
    )


@pytest.mark.usefixtures("settings")
async def test_what_stands_still_comes_first_and_nothing_of_the_file_is_shown(
    admin: Any, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for status, minutes in (("completed", 1), ("ready", 99), ("running", 2), ("undoing", 60)):
        await add(admin, world, status, minutes)
    await asyncio.to_thread(imports.list_imports, as_json=True)
    out = capsys.readouterr().out
    found = json.loads(out)["imports"]
    assert [job["status"] for job in found] == ["undoing", "running", "ready"]
    assert {job["user_id"] for job in found} == {str(world.user_id)}
    assert "secret" not in out
    await asyncio.to_thread(imports.list_imports)
    assert "vcard undoing, 4 of 10, last moved 36" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.usefixtures("settings")
async def test_those_that_failed_are_shown_with_why(
    admin: Any, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(imports.list_imports, failed=True)
    assert capsys.readouterr() == ("", "none failed\n")
    await add(admin, world, "failed", 1)
    await asyncio.to_thread(imports.list_imports, failed=True)
    assert "failed, import.empty, 4 of 10" in capsys.readouterr().out
