"""The quick figures of the realtime hub beside its peers; a lost delivery fails."""

import pytest

from tests.bench.realtime.__main__ import measure
from tests.bench.realtime.steps import QUICK_STEPS


@pytest.mark.bench
def test_every_delivery_arrives_and_its_cost_is_known() -> None:
    print()
    assert measure(QUICK_STEPS, None, quick=True)
