"""Whatever is done in whatever order: the broker in memory and the one in Redis do the same."""

import secrets
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import config
from hub.realtime.broker import Broker, History, HistoryOptions, PublishRequest, StreamPosition
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.redis.broker import RedisBroker
from tests.hub.realtime.house import until

KEPT = HistoryOptions(size=3, ttl_seconds=600)

CHANNELS = st.sampled_from(["a", "b"])
PUBLISH = st.fixed_dictionaries(
    {
        "verb": st.just("publish"),
        "channel": CHANNELS,
        "history": st.sampled_from([KEPT, KEPT, KEPT, HistoryOptions()]),
        "idempotency_key": st.sampled_from(["", "", "k1", "k2"]),
        "version": st.sampled_from([0, 0, 1, 2, 9, 10, 2**63]),
        "version_epoch": st.sampled_from(["", "x"]),
        "tags": st.sampled_from([{}, {"t": "1"}]),
    }
)
STEP = st.one_of(
    PUBLISH,
    PUBLISH,
    st.fixed_dictionaries(
        {
            "verb": st.just("history"),
            "channel": CHANNELS,
            "since": st.one_of(st.none(), st.integers(0, 8)),
            "limit": st.integers(-1, 4),
            "reverse": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {"verb": st.just("end"), "channel": CHANNELS, "which": st.sampled_from(["e", "no"])}
    ),
    st.fixed_dictionaries(
        {
            "verb": st.sampled_from(
                ["subscribe", "unsubscribe", "join", "leave", "remove_history"]
            ),
            "channel": CHANNELS,
        }
    ),
)


class Actor:
    """Does the steps on one broker and notes all that can be seen, with epochs as numbers."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.delivered: list[Any] = []
        self._epochs: dict[str, int] = {"": 0}
        self._prefix = ""

    async def start(self) -> None:
        await self.broker.start(
            self._take,
            on_join=lambda channel, info: self._take(channel, "join", info),
            on_leave=lambda channel, info: self._take(channel, "leave", info),
        )

    def begin(self, prefix: str) -> None:
        """Use channels that no earlier run has used."""
        self._prefix = prefix
        self.delivered = []
        self._epochs = {"": 0}

    async def do(self, step: dict[str, Any], number: int) -> Any:
        verb, channel = step["verb"], f"{self._prefix}:{step['channel']}"
        match verb:
            case "publish":
                options = {key: step[key] for key in step if key not in ("verb", "channel")}
                return self._seen(
                    await self.broker.publish(
                        PublishRequest(channel=channel, data=b"%d" % number, **options)
                    )
                )
            case "history":
                return self._seen(
                    await self.broker.history(
                        channel,
                        since=step["since"],
                        limit=step["limit"],
                        reverse=step["reverse"],
                    )
                )
            case "end":
                epoch = step["which"]
                if epoch == "e":
                    epoch = (await self.broker.history(channel, limit=0)).top.epoch
                return await self.broker.end_stream(channel, epoch)
            case "join" | "leave":
                tell = getattr(self.broker, f"publish_{verb}")
                return await tell(channel, ClientInfo("u", str(number)))
            case _:
                return await getattr(self.broker, verb)(channel)

    async def end(self) -> None:
        for channel in ("a", "b"):
            await self.broker.unsubscribe(f"{self._prefix}:{channel}")

    def _take(self, channel: str, what: object, detail: object) -> None:
        if channel.startswith(f"{self._prefix}:"):
            detail = self._number(detail) if isinstance(detail, str) else detail
            self.delivered.append((channel, what, detail))

    def _seen(self, result: StreamPosition | History) -> Any:
        if isinstance(result, StreamPosition):
            return result.offset, self._number(result.epoch)
        return result.publications, self._seen(result.top)

    def _number(self, epoch: str) -> int:
        return self._epochs.setdefault(epoch, len(self._epochs))


@pytest.fixture
async def actors(redis_url: str, redis_prefix: str) -> AsyncGenerator[tuple[Actor, Actor]]:
    memory = Actor(MemoryBroker())
    in_redis = Actor(RedisBroker(config.Redis(url=redis_url, key_prefix=redis_prefix)))
    for actor in (memory, in_redis):
        await actor.start()
    yield memory, in_redis
    for actor in (memory, in_redis):
        await actor.broker.close()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=40))
async def test_both_brokers_do_the_same(actors: tuple[Actor, Actor], steps: list[dict[str, Any]]):
    memory, in_redis = actors
    prefix = secrets.token_hex(6)
    for actor in actors:
        actor.begin(prefix)
    for number, step in enumerate(steps):
        assert await in_redis.do(step, number) == await memory.do(step, number), step
        # Delivery is immediate in memory, and asynchronous through Redis.
        await until(lambda: len(in_redis.delivered) >= len(memory.delivered), seconds=1.0)
    assert in_redis.delivered == memory.delivered
    for actor in actors:
        await actor.end()
