"""One running system for all end-to-end tests; each journey looks at its own taps."""

import json
from collections.abc import AsyncGenerator, Generator

import pytest

from tests.e2e.faults import FaultySystem
from tests.e2e.journey import Journey, ticking
from tests.fixtures.stack import Stack, running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultySystem]:
    """Everything that `pinghub up` runs, on free ports in its own folder; no taps by itself."""
    stack = Stack(
        tmp_path_factory.mktemp("system"),
        system_type=FaultySystem,
        # Lost calls are looked for sooner than in production, or each would cost half a minute.
        settings={"PINGHUB_RELAY__SWEEP_SECONDS": "1", "PINGHUB_RELAY__STALE_TASK_SECONDS": "5"},
    )
    with running(stack):
        assert isinstance(stack.system, FaultySystem)
        yield stack.system


@pytest.fixture
async def journey(system: FaultySystem) -> AsyncGenerator[Journey]:
    """Phones connected, nothing pressed yet."""
    rings = json.loads((system.home / "rings.json").read_text())
    journey = Journey(system, rings)
    async with ticking(system):
        await journey.open()
        try:
            yield journey
        finally:
            await journey.close()
