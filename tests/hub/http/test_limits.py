"""Rate limits: exact over processes, by tier, visible in headers, quick when Redis is away."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import pytest_asyncio
from msgspec.structs import replace
from redis.asyncio import Redis
from structlog.testing import capture_logs

from core import config
from core.errors import ConfigError, DomainError
from hub.http import limits
from hub.http.limits import POLICIES, Limiter, Tier, address_subject, policies
from tests.fixtures.app import Running, User
from tests.fixtures.ports import free_port

LimitADay = Callable[..., Limiter]
StartApp = Callable[[config.Settings], Awaitable[Running]]


@pytest_asyncio.fixture
async def limiter(redis_url: str, redis_prefix: str) -> AsyncIterator[Limiter]:
    limiter = Limiter(redis_url, redis_prefix)
    yield limiter
    await limiter.close()


@pytest_asyncio.fixture
async def limit_a_day(redis_url: str, redis_prefix: str) -> AsyncIterator[LimitADay]:
    """Make limiters whose policy `ai` is of a day."""
    made: list[Limiter] = []

    def make(**changes: int) -> Limiter:
        changed = config.LimitPolicy(window_seconds=86_400, **changes)
        made.append(
            Limiter(redis_url, redis_prefix, policies(config.Limits(policies={"ai": changed})))
        )
        return made[-1]

    yield make
    for limiter in made:
        await limiter.close()


@pytest.fixture
def broken_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no breaker close again, however slow the machine is."""
    monkeypatch.setattr(limits, "clock", SimpleNamespace(monotonic_seconds=lambda: 1.0))


@pytest.mark.req("API-05")
async def test_500_at_once_on_two_hubs_get_exactly_the_burst(
    redis_url: str, redis_prefix: str
) -> None:
    one, two = Limiter(redis_url, redis_prefix), Limiter(redis_url, redis_prefix)
    taken = await asyncio.gather(
        *(limiter.take("auth", "203.0.113.7") for limiter in (one, two) for _ in range(250))
    )
    granted = sum(not allowance.refused for allowance in taken if allowance)
    # One more where it took longer than the six seconds after which one comes back.
    assert granted in {POLICIES["auth"].quota, POLICIES["auth"].quota + 1}
    await one.close()
    await two.close()


@pytest.mark.req("API-05")
async def test_two_applications_answer_what_the_burst_allows_and_no_more(
    start_app: StartApp, app_settings: config.Settings
) -> None:
    hubs = [await start_app(app_settings), await start_app(app_settings)]
    clients = [hub.client(peer="203.0.113.8") for hub in hubs]
    # Refused for its body, but only after it was counted.
    answers = await asyncio.gather(
        *(client.post("/v1/auth/refresh", json={}) for client in clients for _ in range(100))
    )
    counted = Counter(answer.status_code for answer in answers)
    assert counted in ({422: 10, 429: 190}, {422: 11, 429: 189})
    for client in clients:
        await client.aclose()


@pytest.mark.req("API-05")
@pytest.mark.parametrize(
    ("after_seconds", "granted"),
    [(0, 0), (863, 0), (865, 1), (8_641, 10), (43_201, 50), (86_401, 100), (10**7, 100)],
)
async def test_what_is_used_up_comes_back_at_the_policys_rate(
    limit_a_day: LimitADay, redis_url: str, after_seconds: float, granted: int
) -> None:
    limiter = limit_a_day(quota=100)  # one in 864 seconds: a slow test is no second one
    assert await grants(limiter, "ai", 101) == 100
    await let_pass(redis_url, after_seconds)
    assert await grants(limiter, "ai", granted + 3) == granted


async def test_six_seconds_of_the_policy_for_ai_are_ten_requests(
    limiter: Limiter, redis_url: str
) -> None:
    started = time.monotonic()
    granted = await grants(limiter, "ai", 105)
    await let_pass(redis_url, 6.0)
    granted += await grants(limiter, "ai", 20)
    meanwhile = (time.monotonic() - started) * 100 / 60
    assert 110 <= granted <= 111 + meanwhile


async def test_a_burst_of_its_own_is_what_comes_at_once(
    limit_a_day: LimitADay, redis_url: str
) -> None:
    limiter = limit_a_day(quota=100, burst=3)
    assert await grants(limiter, "ai", 6) == 3
    await let_pass(redis_url, 865)
    assert await grants(limiter, "ai", 6) == 1
    await let_pass(redis_url, 86_400)
    assert await grants(limiter, "ai", 6) == 3


async def test_subjects_do_not_share_a_limit(limiter: Limiter) -> None:
    assert await grants(limiter, "auth", 10, "a") == 10
    refused = await limiter.take("auth", "a")
    assert refused
    assert refused.refused
    assert 1 <= refused.wait_seconds() <= 6
    assert await grants(limiter, "auth", 1, "b") == 1


async def test_an_answer_says_where_one_stands(ada: User) -> None:
    first, second = [(await ada.client.get("/v1/me")).headers for _ in range(2)]
    assert first["ratelimit-policy"] == '"default";q=600;w=60'
    assert first["ratelimit"] == '"default";r=599;t=1'
    assert second["ratelimit"].startswith('"default";r=59')


async def test_sign_in_is_limited_by_address(hub: Running) -> None:
    body = {"refresh_token": "x" * 43}
    async with hub.client(peer="198.51.100.1") as client, hub.client(peer="198.51.100.2") as other:
        answers = [await client.post("/v1/auth/refresh", json=body) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        refused = answers[-1]
        assert refused.json()["code"] == "limit.exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 6
        assert refused.headers["ratelimit"].startswith('"auth";r=0;t=')
        assert (await other.post("/v1/auth/refresh", json=body)).status_code == 401


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_address(address: str, subject: str) -> None:
    assert address_subject(address) == subject


async def test_probes_are_never_limited(start_app: StartApp, app_settings: config.Settings) -> None:
    once = config.Limits(policies={"default": config.LimitPolicy(quota=1)})
    running = await start_app(replace(app_settings, limits=once))
    async with running.client(peer="198.51.100.1") as client:
        statuses = [(await client.get("/v1/me")).status_code for _ in range(2)]
        assert [(await client.get("/livez")).status_code for _ in range(3)] == [200] * 3
    # Who is not signed in is refused before anything is counted.
    assert statuses == [401, 401]


def test_the_page_for_app_developers_has_every_policy_as_it_is() -> None:
    units = {60: "1 min", 3_600: "1 h", 86_400: "1 d"}
    page = (Path(__file__).parents[3] / "docs" / "rest.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.count("|") == 7]
    tiers: tuple[Tier, ...] = get_args(Tier)
    assert [[row[0], *row[2:]] for row in rows if row[0].startswith("`")] == [
        [
            f"`{policy.name}`",
            *(
                f"{policy.quota * policy.factor(tier)} in {units[policy.window_seconds]}"
                for tier in tiers
            ),
            policy.without_redis,
        ]
        for policy in POLICIES.values()
    ]


def test_settings_change_single_policies_and_nothing_else() -> None:
    changed = policies(
        config.Limits(policies={"default": config.LimitPolicy(quota=5, without_redis="closed")})
    )
    assert changed["default"] == replace(POLICIES["default"], quota=5, without_redis="closed")
    assert {**changed, "default": 0} == {**POLICIES, "default": 0}
    with pytest.raises(ConfigError, match=r"limits\.policies\.defualt: .* default, "):
        policies(config.Limits(policies={"defualt": config.LimitPolicy(quota=5)}))


def test_what_guards_cannot_be_opened() -> None:
    for name, policy in POLICIES.items():
        opened = config.Limits(policies={name: config.LimitPolicy(without_redis="open")})
        if policy.without_redis == "open":
            assert policies(opened) == POLICIES
        else:
            with pytest.raises(ConfigError, match=rf"limits\.policies\.{name}\.without_redis"):
                policies(opened)


async def test_without_redis_each_policy_does_what_it_says(redis_prefix: str) -> None:
    limiter = Limiter(f"redis://127.0.0.1:{free_port()}/0", redis_prefix)
    for policy in POLICIES.values():
        if policy.without_redis == "open":
            assert await limiter.take(policy.name, "somebody") is None
        else:
            with pytest.raises(DomainError) as refusal:
                await limiter.take(policy.name, "somebody")
            assert refusal.value.code == "service.unavailable"
    await limiter.close()
    # What guards guessing, money or room.
    closed = {policy.name for policy in POLICIES.values() if policy.without_redis == "closed"}
    assert closed >= {"gateway_claim", "claim", "ai", "enrichment", "media"}
    assert closed.isdisjoint({"default", "auth", "login"})


async def test_who_is_slower_than_an_open_policy_waits_is_still_counted_by_a_guard(
    start_redis: Any, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.POLICIES["claim"].deadline_seconds == limits.GUARD_DEADLINE_SECONDS
    monkeypatch.setattr(limits, "DEADLINE_SECONDS", 0.2)
    server = start_redis()
    limiter = Limiter(server.url, redis_prefix)
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        assert await limiter.take("default", "somebody") is None
        waiting = asyncio.create_task(limiter.take("claim", "somebody"))
        # Refused at once, it were done now.
        assert await limiter.take("default", "somebody") is None
        assert not waiting.done()
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
    counted = await waiting
    assert counted
    assert not counted.refused
    await limiter.close()


@pytest.mark.usefixtures("broken_for_ever")
async def test_a_guard_that_waited_in_vain_is_not_waited_for_again(
    redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GUARD_DEADLINE_SECONDS", 0.2)
    async with silent_server() as (url, connections):
        limiter = Limiter(url, redis_prefix)
        for _ in range(100):
            with pytest.raises(DomainError):
                await limiter.take("claim", "somebody")
        assert len(connections) == 1
        await limiter.close()


@pytest.mark.usefixtures("broken_for_ever")
async def test_without_redis_each_hub_counts_open_policies_for_itself(redis_prefix: str) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    hour = policies(config.Limits(policies={"auth": config.LimitPolicy(window_seconds=86_400)}))
    one, other = (Limiter(nowhere, redis_prefix, hour) for _ in range(2))
    for limiter in (one, other):
        taken = [await limiter.take("auth", "203.0.113.9") for _ in range(12)]
        assert taken[:10] == [None] * 10
        assert all(allowance and allowance.refused for allowance in taken[10:])
        assert await limiter.take("auth", "203.0.113.10") is None
        await limiter.close()


@pytest.mark.usefixtures("broken_for_ever")
async def test_without_redis_requests_pass_and_stay_quick_but_guarded_ones_wait(
    start_app: StartApp, app_settings: config.Settings
) -> None:
    nowhere = replace(app_settings.redis, url=f"redis://127.0.0.1:{free_port()}/0")
    running = await start_app(replace(app_settings, redis=nowhere))
    async with running.client(peer="198.51.100.1") as client:
        with capture_logs() as lines:
            answers = [
                await client.post("/v1/auth/refresh", json={"refresh_token": "x" * 43})
                for _ in range(10)
            ]
        guarded = await client.post("/v1/gateways/claim", json={})
    assert [answer.status_code for answer in answers] == [401] * 10
    assert "ratelimit" not in answers[0].headers
    assert [line["event"] for line in lines].count("limit_unchecked") == 1, "only one has waited"
    assert (guarded.status_code, guarded.json()["code"]) == (503, "service.unavailable")
    assert guarded.headers["retry-after"] == "1"


@pytest.mark.usefixtures("broken_for_ever")
async def test_a_redis_that_hangs_costs_one_deadline_not_one_each(
    redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEADLINE_SECONDS", 0.2)
    async with silent_server() as (url, connections):
        limiter = Limiter(url, redis_prefix)
        for _ in range(100):
            assert await limiter.take("default", "somebody") is None
        assert len(connections) == 1
        await limiter.close()


async def test_limits_return_with_redis(
    start_redis: Any, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_BREAK_SECONDS", 0.05)
    server = start_redis()
    limiter = Limiter(server.url, redis_prefix)
    assert await limiter.take("default", "somebody") is not None
    server.kill()
    assert await limiter.take("default", "somebody") is None
    server.restart()
    deadline = time.monotonic() + 30
    while await limiter.take("default", "somebody") is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await limiter.close()


@asynccontextmanager
async def silent_server() -> AsyncGenerator[tuple[str, list[object]]]:
    """Serve as a Redis that takes everything and answers nothing; yields who has connected."""
    connections: list[object] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", connections


async def grants(limiter: Limiter, name: str, asked: int, subject: str = "somebody") -> int:
    """Ask so often; return how often it was granted."""
    taken = [await limiter.take(name, subject) for _ in range(asked)]
    return sum(not allowance.refused for allowance in taken if allowance)


async def let_pass(redis_url: str, seconds: float) -> None:
    """Let time pass for all limits: what is stored is when a bucket is whole again."""
    async with Redis.from_url(redis_url) as redis:
        async for key in redis.scan_iter(match="*:limit:*"):
            whole_at = float((await redis.get(key)) or 0)
            await redis.set(key, f"{whole_at - seconds:.6f}", keepttl=True)
