"""The system that is measured: every process as `pinghub up` runs it, with fsync, on free ports."""

from collections.abc import Iterator

import pytest

from tests.fixtures.stack import Stack, running


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(Stack(tmp_path_factory.mktemp("measured"))) as stack:
        yield stack
