"""The system that is measured: every process as `pinghub up` runs it, with fsync, on free ports."""

from collections.abc import Iterator

import pytest

from tests.fixtures.stack import Stack, start_or_say_what_is_missing


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("measured"))
    try:
        start_or_say_what_is_missing(stack)
        yield stack
    finally:
        stack.stop_all()
