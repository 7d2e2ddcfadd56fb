"""Every tap arrives once because of each of these mechanisms of the gateway."""

import pytest

from tests.e2e.journey import Journey
from tests.e2e.mechanisms import AT_THE_GATEWAY, is_needed


@pytest.mark.soak
@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("mechanism", AT_THE_GATEWAY)
async def test_taps_survive_because_of_this_mechanism_at_the_gateway(
    journey: Journey, mechanism: str
):
    await is_needed(journey, mechanism, AT_THE_GATEWAY[mechanism])
