"""Every tap arrives once, whoever dies on the way; and each mechanism behind that is needed."""

import asyncio
import signal
from collections.abc import Sequence
from itertools import chain
from typing import Final

import pytest

from tests.e2e.journey import Journey, Report
from tests.e2e.mechanisms import AT_THE_GATEWAY, IN_THE_HUB, is_needed, signal_to

MORTALS: Final = (
    "gateway",
    "ingest",
    "relay",
    "worker",
    "serve",
    "redis",
    "postgres",
    "mqtt",
)


async def chaos(journey: Journey, *, taps: int, mortals: Sequence[str]) -> Report:
    """Press steadily while one process after the other is killed and comes back."""
    every = taps // (len(mortals) + 1)
    dying = iter(mortals)

    async def kill_next() -> None:
        if (name := next(dying, None)) is not None:
            if journey.kills:
                await journey.alive(journey.kills[-1])
            journey.kill(name)

    killing: list[asyncio.Task[None]] = []
    async with journey.talking():
        for index in range(taps - 3):
            if index and index % every == 0:
                killing.append(asyncio.create_task(kill_next()))
            await journey.press(index)
            await asyncio.sleep(0.04)  # the pace of the taps, not a wait for anything
        await asyncio.gather(*killing)
    assert sorted(journey.kills) == sorted(mortals)
    for name in mortals:
        await journey.alive(name)
    # One more of each ring, behind everything that was sent twice.
    for index in range(3):
        await journey.press(index)
    return await journey.arrival(60)


@pytest.mark.req("RNG-02", "RNG-03", "RNG-05", "RTM-02", "PRD-02", "PRD-03")
async def test_no_tap_is_lost_or_doubled_when_each_process_is_killed_once(journey: Journey):
    report = await chaos(journey, taps=300, mortals=MORTALS)

    assert report.problems == {}
    assert len(journey.pressed) == len(set(journey.pressed)) == 300
    assert len(journey.sent) >= 20
    assert all(phone.connects >= 2 and phone.recovered for phone in journey.phones)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_no_tap_is_lost_or_doubled_when_each_process_is_killed_twice(journey: Journey):
    mortals = list(chain(MORTALS, reversed(MORTALS)))

    report = await chaos(journey, taps=1000, mortals=mortals)

    assert report.problems == {}
    assert len(set(journey.pressed)) == 1000


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["postgres", "redis", "mqtt", "relay", "ingest", "serve"])
async def test_nothing_is_lost_or_doubled_when_a_process_stands_still(journey: Journey, name: str):
    async with journey.talking():
        for index in range(30):
            await journey.press(index)
        signal_to(journey, name, signal.SIGSTOP)
        for index in range(50):
            await journey.press(index)
            await asyncio.sleep(0.4)  # 20 s: longer than every deadline in between
        signal_to(journey, name, signal.SIGCONT)
        for index in range(30):
            await journey.press(index)
    report = await journey.arrival(90)

    assert report.problems == {}
    assert len(set(journey.pressed)) == 110


SHORT: Final = ("dedupe", "outbox", "consumer tasks")


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize(
    "mechanism",
    [
        name if name in SHORT else pytest.param(name, marks=pytest.mark.soak)
        for name in AT_THE_GATEWAY | IN_THE_HUB
    ],
)
async def test_taps_survive_because_of_this_mechanism(journey: Journey, mechanism: str):
    await is_needed(journey, mechanism, (AT_THE_GATEWAY | IN_THE_HUB)[mechanism])
