"""`pinghub edge status`: what an operator sees of all gateways."""

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio

from core import config
from core.actor import SYSTEM
from core.db import Pool, begin
from core.edge import HealthReport
from hub.domains.gateways import service
from hub.domains.gateways.schemas import GatewayPresence, Health
from hub.processes import edge
from tests.fixtures.postgres import Database
from tests.fixtures.world import World


@pytest.fixture
def settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config.Settings(database=config.Database(system_url=database.system_url))
    monkeypatch.setattr(config, "load", lambda: given)


@pytest_asyncio.fixture
async def troubled(admin: Any, system_pool: Pool, world: World) -> World:
    """A gateway that holds its taps back and was sent something forged."""
    await admin.execute(
        "INSERT INTO rejected_taps (gateway_id, reason) VALUES ($1, 'bad_tag')", world.gateway_id
    )
    await admin.execute("UPDATE gateways SET config_rev = 2, reported = '{\"rejected_rev\": 2}'")
    report = HealthReport(session="s", t=1, uptime_s=1, delivery_alarm="held")
    async with begin(system_pool, SYSTEM) as tx:
        await service.note_presence(tx, [GatewayPresence(world.gateway_id, "online", "s")])
        await service.note_health(tx, [Health(world.gateway_id, report, 1)])
    return world


@pytest.mark.usefixtures("settings")
async def test_scripts_read_json(troubled: World, capsys: pytest.CaptureFixture[str]) -> None:
    await _status(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["online"], found["offline"]) == (1, 0)
    assert found["alerts"] == {"taps_held": 1, "taps_rejected": 1}
    assert found["rejected_today"] == {"bad_tag": 1}
    [gateway] = found["gateways"]
    assert gateway["id"] == str(troubled.gateway_id)
    assert "desk" not in json.dumps(found), "names are their owners'"


@pytest.mark.usefixtures("settings")
async def test_people_read_a_table(troubled: World, capsys: pytest.CaptureFixture[str]) -> None:
    await _status(as_json=False)
    text = capsys.readouterr().out
    assert "1 online, 0 offline" in text
    assert "1 bad_tag" in text
    assert str(troubled.gateway_id) in text
    assert "2 REFUSED" in text


@pytest.mark.usefixtures("settings")
async def test_a_hub_without_gateways_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    await _status(as_json=False)
    assert "0 online, 0 offline" in capsys.readouterr().out


async def _status(*, as_json: bool) -> None:
    # The command runs a loop of its own, as in a shell.
    await asyncio.to_thread(edge.status, as_json=as_json)
