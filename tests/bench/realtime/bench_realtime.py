"""The quick figures of the realtime hub beside its peers; a lost delivery fails."""

import pytest

from tests.bench.realtime.__main__ import measure
from tests.bench.realtime.steps import STEPS


@pytest.mark.bench
@pytest.mark.parametrize(
    "name", ["deliveries", "connections", "half-load", "slow-clients", "storm"]
)
def test_figures(name: str) -> None:
    assert name in STEPS
    print()
    measure([name], None, quick=True)
