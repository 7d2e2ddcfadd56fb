"""Every tap arrives once because of each of these mechanisms of the hub."""

from typing import Final

import pytest

from tests.e2e.journey import Journey
from tests.e2e.mechanisms import IN_THE_HUB, is_needed

LONG: Final = ("commit before the hub's word", "sweeper", "recovery")


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize(
    "mechanism",
    [pytest.param(name, marks=pytest.mark.soak) if name in LONG else name for name in IN_THE_HUB],
)
async def test_taps_survive_because_of_this_mechanism_in_the_hub(journey: Journey, mechanism: str):
    await is_needed(journey, mechanism, IN_THE_HUB[mechanism])
