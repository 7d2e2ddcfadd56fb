"""Five rings, two gateways, and everything that can go wrong, in an order of chance.

No tap is lost, doubled, made up or misdated. `PINGHUB_TEST_SEED` repeats an order.
"""

import json
import os
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.edge_system import EdgeSystem
from tests.e2e.journey import ticking
from tests.e2e.storm import Storm, StormReport, rage
from tests.fixtures.overheard import Overheard
from tests.fixtures.stack import Stack, running

SEED = int(os.environ.get("PINGHUB_TEST_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture
def edge(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A system of this storm's own; the parameter names its broker."""
    stack = Stack(
        tmp_path,
        system_type=partial(EdgeSystem, implementation=getattr(request, "param", "")),
        settings={"PINGHUB_RELAY__SWEEP_SECONDS": "1", "PINGHUB_RELAY__STALE_TASK_SECONDS": "5"},
    )
    with running(stack):
        yield stack


@pytest.fixture
async def storm(
    edge: Stack, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> AsyncGenerator[Storm]:
    """Phones connected, nothing pressed yet. Whoever waits for minutes sees what happens."""
    assert isinstance(edge.system, EdgeSystem)
    rings = json.loads((edge.home / "rings.json").read_text())

    def say(text: str) -> None:
        with capsys.disabled() if "soak" in request.keywords else nullcontext():
            print(text, flush=True)

    storm = Storm(edge.system, rings, seed=SEED, say=say)
    mqtt = edge.settings.mqtt
    async with ticking(edge.system):
        await storm.open()
        with Overheard(mqtt.url, mqtt.version) as storm.overheard:
            yield storm
        await storm.close()


def tell_all(storm: Storm, report: StormReport) -> None:
    """Print what has happened, for whoever wants to see it again."""
    storm.say(
        f"PINGHUB_TEST_SEED={SEED}: {len(storm.pressed)} taps, {len(storm.kills)} kills;"
        f" {storm.overheard.heard_by_several} heard by both gateways,"
        f" {storm.overheard.repeated} sent more than once, {len(storm.destroyed)} destroyed;"
        f" times {dict(storm.dated)}, uncertain by {storm.uncertain_ms[-1]} ms at most;"
        f" {len(storm.gaps_told)} recoveries too long;"
        f" all there {report.seconds:.1f} s after the last\n"
        f"{dict(storm.happened)}\n{report.problems}"
    )


@pytest.mark.req("RNG-02", "RNG-03", "RNG-05", "RTM-02")
@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("edge", ["", "amqtt"], ids=["mosquitto", "amqtt"], indirect=True)
async def test_a_storm_of_ten_thousand_taps_loses_doubles_and_misdates_nothing(storm: Storm):
    report = await rage(storm, taps=10_000, per_second=50)
    tell_all(storm, report)

    assert report.problems == {}
    assert len(set(storm.pressed)) == len(storm.pressed) >= 10_000
    assert len(storm.kills) >= 30
    assert storm.overheard.heard_by_several > 0
    assert storm.overheard.repeated > 0
    assert all(phone.connects >= 2 and phone.recovered for phone in storm.phones)
