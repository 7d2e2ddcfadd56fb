"""What only the broker in memory has: a clock that tests can move."""

import pytest

from hub.realtime import broker_memory
from hub.realtime.broker import HistoryOptions, PublishRequest
from hub.realtime.broker_memory import MemoryBroker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def note(key: str = "", ttl_seconds: int = 60) -> PublishRequest:
    return PublishRequest(
        channel="room:a",
        data=b"1",
        history=HistoryOptions(5, ttl_seconds),
        idempotency_key=key,
        idempotency_ttl_seconds=10,
    )


async def test_history_expires_but_the_position_stays():
    clock = Clock()
    broker = MemoryBroker(clock)
    position = await broker.publish(note())
    clock.now = 60.0
    history = await broker.history("room:a")
    assert history.publications == []
    assert history.top == position


async def test_a_key_is_remembered_at_least_as_long_as_the_history():
    clock = Clock()
    broker = MemoryBroker(clock)
    await broker.publish(note("k"))
    clock.now = 59.9
    assert (await broker.publish(note("k"))).offset == 1
    clock.now = 60.0
    assert (await broker.publish(note("k"))).offset == 2


async def test_names_that_were_only_asked_for_take_a_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(broker_memory, "_UNPUBLISHED_MAX", 50)
    broker = MemoryBroker()
    await broker.subscribe("room:live")
    live = await broker.history("room:live")
    kept = await broker.publish(note())
    for number in range(10 * broker_memory._SWEEP_STREAMS):
        await broker.history(f"room:{number}")
    assert len(broker._streams) <= 52 + broker_memory._SWEEP_STREAMS
    assert (await broker.history("room:live")).top == live.top
    assert (await broker.history("room:a")).top == kept
