"""Connections to PostgreSQL: how many the processes need, and reads that a standby answers."""

import pytest
from msgspec.structs import replace

from core import config
from core.config import Settings
from core.db import Pool, query
from hub.http.deps import open_resources
from hub.processes import checks, queries
from hub.processes.connections import most_of
from hub.processes.system_pool import browse_once
from tests.fixtures.postgres import Database, run

WHERE = query(str, "SELECT current_setting('application_name')", login="system")


def settings(database: Database, **changes: object) -> Settings:
    given = config.Database(url=database.api_url, system_url=database.system_url)
    return Settings(database=replace(given, **changes))


@pytest.mark.req("DBR-10")
def test_the_pools_of_one_process_each_fit_the_server(database: Database) -> None:
    found = checks.connections(settings(database))
    assert found.state == "ok"
    assert "serve 16, worker 10, ingest 2, relay 4" in found.detail
    assert "needs 32 of " in found.detail


def test_pools_that_the_server_has_no_room_for_are_found(database: Database) -> None:
    found = checks.connections(settings(database, pool_max=5000))
    assert found.state == "failed"
    assert "room for 0 more serve" in found.detail
    assert "max_connections" in found.fix


def test_behind_a_pooler_its_sizes_count(database: Database) -> None:
    found = checks.connections(settings(database, url=f"{database.api_url}?pooler=transaction"))
    assert (found.state, found.fix) == ("ok", "")


async def test_serve_opens_pools_of_the_sizes_that_are_added_up(
    app_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    opened = Pool.open

    async def noted(url: str, *, max_size: int, **timeouts: float) -> Pool:
        sizes.append(max_size)
        return await opened(url, max_size=max_size, **timeouts)

    monkeypatch.setattr(Pool, "open", noted)
    async with open_resources(app_settings):
        pass
    assert sum(sizes) == most_of(app_settings.database)["serve"]


def test_a_reader_without_rights_to_see_others_still_counts_them(database: Database) -> None:
    room = run(checks._ask(database.api_url, queries.ROOM))
    assert 0 < room.taken < room.usable


@pytest.mark.parametrize(
    ("standby", "answers"), [("127.0.0.1:1/away", "pinghub-primary"), ("", "standby")]
)
async def test_what_operators_browse_comes_from_a_standby_if_there_is_one(
    database: Database, standby: str, answers: str
) -> None:
    at = database.superuser_url.rpartition("@")[2]
    given = settings(
        database,
        system_url=f"{database.system_url}?application_name=pinghub-primary",
        replica_url=f"postgresql://{standby or f'{at}?application_name=standby'}",
    )
    assert await browse_once(given, WHERE.one) == answers
