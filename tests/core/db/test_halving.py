"""Batches that are halved until the bad item is alone."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.db import Conflict, by_halves
from core.errors import DomainError

FAILURES: dict[str, Callable[[], Exception]] = {
    "conflict": partial(Conflict, "somebody_gone"),
    "unstorable": partial(DomainError, "request.invalid"),
    "ours": partial(RuntimeError, "a mistake"),
    "outage": partial(DomainError, "service.unavailable"),
}


async def answered(items: Sequence[str]) -> list[tuple[str, str]]:
    async def record(batch: Sequence[str]) -> list[tuple[str, str]]:
        for item in batch:
            if (failure := FAILURES.get(item)) is not None:
                raise failure()
        return [(item, "recorded") for item in batch]

    async def refuse(item: str) -> list[tuple[str, str]]:
        return [(item, "refused")]

    # Printing a traceback takes longer than everything else here.
    with capture_logs():
        return await by_halves(
            items, record, refuse=refuse, defer=lambda item: [(item, "deferred")]
        )


@given(st.lists(st.sampled_from(("good", "conflict", "unstorable", "ours"))))
def test_each_item_gets_its_own_answer_in_its_place_whatever_the_others_are(
    items: list[str],
) -> None:
    verdicts = {
        "good": "recorded",
        "conflict": "refused",
        "unstorable": "refused",
        "ours": "deferred",
    }
    assert asyncio.run(answered(items)) == [(item, verdicts[item]) for item in items]


@given(st.lists(st.sampled_from(("good", "conflict", "ours"))), st.integers(0))
def test_an_outage_leaves_everybody_without_an_answer(items: list[str], place: int) -> None:
    items.insert(place % (len(items) + 1), "outage")
    with pytest.raises(DomainError) as raised:
        asyncio.run(answered(items))
    assert raised.value.code == "service.unavailable"


async def test_what_is_recorded_is_recorded_once() -> None:
    seen: list[str] = []

    async def record(batch: Sequence[str]) -> list[str]:
        if "bad" in batch:
            raise Conflict("somebody_gone")
        seen.extend(batch)
        return list(batch)

    async def refuse(item: str) -> list[str]:
        return [item]

    items = [*"abcdefg", "bad"]
    assert await by_halves(items, record, refuse=refuse, defer=lambda item: [item]) == items
    assert seen == list("abcdefg")
