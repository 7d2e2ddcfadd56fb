"""Who signs out loses the sockets on every process, and comes back to none, whatever is away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from centrifuge import Client, ClientEventHandler
from msgspec.structs import replace

from core import config
from tests.fixtures.app import User, with_server
from tests.fixtures.hub_process import HubProcess
from tests.fixtures.ports import free_port
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.served import Served, environment
from tests.fixtures.waiting import running_seconds


class Phone(ClientEventHandler):
    """An app on the official SDK; remembers how its connection ended."""

    def __init__(self, served: Served, token: str) -> None:
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.code = 0
        self.ended_at = 0.0

        async def get_token(_context: object) -> str:
            return token

        address = f"ws://127.0.0.1:{served.port}/connection/websocket"
        self.client = Client(
            address,
            events=self,
            token=token,
            get_token=get_token,
            proxy=None,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.2,
        )

    async def on_connected(self, _ctx: Any) -> None:
        self.connected.set()

    async def on_disconnected(self, ctx: Any) -> None:
        self.code = ctx.code
        self.ended_at = running_seconds()
        self.disconnected.set()


@dataclass
class Site:
    """Two serving processes and a relay on a Redis that a test may kill."""

    first: Served
    second: Served
    relay: HubProcess
    redis: RestartableRedis
    one_more: Callable[[], AbstractContextManager[Served]]


@pytest.fixture
def own_redis(start_redis: Callable[[], RestartableRedis]) -> RestartableRedis:
    return start_redis()


@pytest.fixture
def app_settings(app_settings: config.Settings, own_redis: RestartableRedis) -> config.Settings:
    return replace(app_settings, redis=replace(app_settings.redis, url=own_redis.url))


@pytest.fixture
def site(
    app_settings: config.Settings, own_redis: RestartableRedis, tmp_path: Path
) -> Iterator[Site]:
    folder = tmp_path / "relay"
    folder.mkdir()
    with (
        HubProcess("relay", environment(app_settings, folder), folder / "relay.log") as relay,
        served_in(tmp_path / "first", app_settings) as first,
        served_in(tmp_path / "second", app_settings) as second,
    ):
        later = partial(served_in, tmp_path / "later", app_settings)
        yield Site(first, second, relay.ready(), own_redis, later)


@contextmanager
def served_in(folder: Path, settings: config.Settings) -> Iterator[Served]:
    """Serve at a port of its own, with its log in a folder of its own."""
    folder.mkdir()
    port = free_port()
    served = Served(with_server(settings, port=port, public_url=f"http://127.0.0.1:{port}"), folder)
    try:
        served.wait_ready()
        yield served
    finally:
        served.process.kill()
        served.process.wait()


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """Connect phones of a user, one on each process."""
    phones: list[Phone] = []

    async def connect(user: User, *served: Served) -> list[Phone]:
        opened = [Phone(item, token_of(user)) for item in served]
        phones.extend(opened)
        for phone in opened:
            await phone.client.connect()
            await asyncio.wait_for(phone.connected.wait(), 10)
        return opened

    yield connect
    for phone in phones:
        await phone.client.disconnect()


def token_of(user: User) -> str:
    return user.client.headers["authorization"].partition(" ")[2]


async def me(user: User, served: Served) -> tuple[int, str | None]:
    """Ask REST who the user is; return status and code of the answer."""
    headers = {"Authorization": user.client.headers["authorization"]}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
        answer = await client.get("/v1/me", headers=headers)
    return answer.status_code, answer.json().get("code")


async def all_ended(phones: list[Phone], seconds: float) -> list[int]:
    """Wait for the end of each; return the codes."""
    async with asyncio.timeout(seconds):
        for phone in phones:
            await phone.disconnected.wait()
    return [phone.code for phone in phones]


async def comes_back(user: User, served: Served) -> int:
    """Try to connect with the old token; return 0, or the code of the refusal."""
    phone = Phone(served, token_of(user))
    await phone.client.connect()
    waiting = [asyncio.create_task(item.wait()) for item in (phone.connected, phone.disconnected)]
    await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    code = phone.code
    await phone.client.disconnect()
    return code


async def test_signing_out_closes_the_sockets_on_every_process_within_a_second(
    site: Site, ada: User, grace: User, connect: Callable[..., Any]
) -> None:
    phones = await connect(ada, site.first, site.second)
    [other] = await connect(grace, site.first)
    started = running_seconds()
    assert (await ada.client.post("/v1/auth/logout")).status_code == 204
    assert await all_ended(phones, 5) == [3503, 3503]
    assert max(phone.ended_at for phone in phones) - started < 1
    for served in (site.first, site.second):
        assert await comes_back(ada, served) == 3500
    assert not other.disconnected.is_set()
    assert await comes_back(grace, site.second) == 0
    with site.one_more() as later:
        assert await comes_back(ada, later) == 3500


async def test_an_exchange_of_refresh_tokens_closes_nothing_but_reuse_everything(
    site: Site, ada: User, grace: User, anonymous: Any, connect: Callable[..., Any]
) -> None:
    async def refresh(token: str) -> httpx.Response:
        return await anonymous.post("/v1/auth/refresh", json={"refresh_token": token})

    phones = await connect(ada, site.first, site.second)
    [other] = await connect(grace, site.first)
    successors = [(await refresh(ada.refresh_token)).json()["refresh_token"] for _ in range(2)]
    assert successors[0] == successors[1]
    # Orders keep their order: when this one has arrived, another would have.
    assert (await grace.client.post("/v1/auth/logout")).status_code == 204
    await all_ended([other], 5)
    assert not any(phone.disconnected.is_set() for phone in phones)
    assert (await refresh(successors[0])).status_code == 200
    started = running_seconds()
    assert (await refresh(ada.refresh_token)).status_code == 401
    assert await all_ended(phones, 5) == [3503, 3503]
    assert max(phone.ended_at for phone in phones) - started < 1


async def test_a_device_that_is_removed_from_another_one_loses_sockets_and_rest(
    site: Site, ada: User, anonymous: Any, connect: Callable[..., Any]
) -> None:
    phones = await connect(ada, site.first, site.second)
    answer = await anonymous.post("/v1/auth/development/sign-in", json={"user_id": str(ada.id)})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    started = running_seconds()
    answer = await anonymous.delete("/v1/me/sessions", headers=headers)
    assert answer.status_code == 204
    assert await all_ended(phones, 5) == [3503, 3503]
    assert max(phone.ended_at for phone in phones) - started < 1
    for served in (site.first, site.second):
        assert await me(ada, served) == (401, "auth.token_invalid")
    assert (await anonymous.get("/v1/me", headers=headers)).status_code == 200


async def test_rest_refuses_the_token_on_every_process_within_a_second(
    site: Site, ada: User, grace: User
) -> None:
    assert await me(ada, site.first) == await me(ada, site.second) == (200, None)
    assert (await ada.client.post("/v1/auth/logout")).status_code == 204
    ended_at = running_seconds()
    for served in (site.first, site.second):
        while await me(ada, served) != (401, "auth.token_invalid"):
            assert running_seconds() - ended_at < 1
    assert await me(grace, site.second) == (200, None)
    with site.one_more() as later:
        assert await me(ada, later) == (401, "auth.token_invalid")


async def test_signing_out_works_within_a_second_without_redis_and_without_a_relay(
    site: Site, ada: User, connect: Callable[..., Any]
) -> None:
    phones = await connect(ada, site.first, site.second)
    site.relay.kill()
    site.redis.kill()
    assert (await ada.client.post("/v1/auth/logout")).status_code == 204
    started = running_seconds()
    assert await all_ended(phones, 5) == [3503, 3503]
    assert max(phone.ended_at for phone in phones) - started < 1
    for served in (site.first, site.second):
        assert await me(ada, served) == (401, "auth.token_invalid")
        assert await comes_back(ada, served) == 3500
