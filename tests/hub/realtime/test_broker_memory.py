"""What only the broker in memory has: a clock that tests can move."""

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
