"""`pinghub realtime` as a process: somebody's Centrifugo configuration, their SDKs, no database."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from centrifuge import CentrifugeError, Client, SubscriptionEventHandler

from tests.hub.realtime.house import until
from tests.hub.realtime.jwt_maker import SECRET, signed
from tests.hub.realtime.test_sdk_javascript import Dial, Phone, dial
from tests.hub.realtime.test_sdk_python import Phone as PythonPhone
from tests.hub.realtime.test_sdk_python import Room

__all__ = ["dial"]  # a fixture

KEY = "api-key"
CONFIG: dict[str, Any] = {
    "client": {
        "allowed_origins": ["http://localhost:3000"],
        "token": {"hmac_secret_key": SECRET},
        "subscribe_to_user_personal_channel": {
            "enabled": True,
            "personal_channel_namespace": "user",
        },
    },
    "http_api": {"key": KEY},
    "http_stream": {"enabled": True},
    "health": {"enabled": True},
    "prometheus": {"enabled": True},
    "admin": {"enabled": True, "password": "pass", "secret": "secret"},
    "channel": {
        "namespaces": [
            {
                "name": "chat",
                "presence": True,
                "history_size": 100,
                "history_ttl": "300s",
                "force_recovery": True,
                "allow_subscribe_for_client": True,
                "allow_publish_for_subscriber": True,
                "allow_history_for_subscriber": True,
                "allow_presence_for_subscriber": True,
            },
            {"name": "user", "history_size": 10, "history_ttl": "60s", "force_recovery": True},
            {"name": "team", "allow_user_limited_channels": True},
        ]
    },
}


class Served:
    """The process, and its API as a backend uses it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, log: Path) -> None:
        self.process = process
        self.log = log
        self.address = address
        self.url = f"ws://{address}/connection/websocket"

    async def call(self, method: str, **request: Any) -> Any:
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"http://{self.address}/api/{method}", json=request, headers={"X-API-Key": KEY}
            )
        return answer.raise_for_status().json()

    async def stop(self) -> str:
        """Stop it in order; return what it has logged."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), 15) == 0
        return self.log.read_text()


Start = Callable[..., Awaitable[Served]]


def command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line, and an environment that knows of no service."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PINGHUB_") and not name.endswith("_URL")
    }
    return [sys.executable, "-m", "hub.cli", "realtime", *arguments], environment


@pytest.fixture
async def start(tmp_path: Path) -> AsyncGenerator[Start]:
    started: list[Served] = []

    async def start(content: Any = CONFIG, *arguments: str) -> Served:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(content))
        line, environment = command("--config", str(path), "--port", "0", *arguments)
        # A file takes any number of lines; a pipe that nobody reads would stop the process.
        log = tmp_path / f"{len(started)}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *line, stdout=PIPE, stderr=file, env=environment
            )
        assert process.stdout
        async with asyncio.timeout(20):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("pinghub realtime is ready at http://127.0.0.1:"), ready
        started.append(Served(process, ready.split()[5].removeprefix("http://"), log))
        return started[-1]

    yield start
    for served in started:
        if served.process.returncode is None:
            served.process.kill()
            await served.process.wait()


def python_sdk(served: Served, token: str, phone: PythonPhone | None = None) -> Client:
    return Client(served.url, events=phone, token=token, min_reconnect_delay=0.01)


async def test_unmodified_sdks_live_with_a_centrifugo_configuration(start: Start, dial: Dial):
    served = await start()
    browser: Phone = await dial(served, "chat:1", (signed({"sub": "ann"}),))  # pyright: ignore[reportArgumentType]  # only its address is asked
    phone, room = PythonPhone(), Room()
    client = python_sdk(served, signed({"sub": "bob"}), phone)
    await client.connect()
    subscription = client.new_subscription("chat:1", events=room)
    await subscription.subscribe()
    await until(lambda: browser.of("subscribed"), "the browser in the room")

    await subscription.publish("from bob")
    await served.call("publish", channel="chat:1", data="from the backend")
    await served.call("publish", channel="user:#ann", data="for ann")
    await until(lambda: len(room.seen) == 2 and browser.seen("user:#ann"), "all publications")
    assert browser.seen("chat:1") == room.seen == ["from bob", "from the backend"]
    assert browser.seen("user:#ann") == ["for ann"]
    assert phone.seen == []
    presence = await subscription.presence_stats()
    assert (presence.num_clients, presence.num_users) == (2, 2)

    # Both are cut off while publishing goes on, and miss nothing.
    for number in range(30):
        if number == 10:
            for user in ("ann", "bob"):
                await served.call("disconnect", user=user, disconnect={"code": 3000, "reason": "x"})
        await served.call("publish", channel="chat:1", data=number)
    await until(lambda: len(room.seen) == 32, "everything")
    await until(lambda: len(browser.seen("chat:1")) == 32, "everything in the browser")
    assert room.seen[2:] == browser.seen("chat:1")[2:] == list(range(30))
    assert browser.of("recovering", channel="chat:1", recovered=True)
    await client.disconnect()
    log = await served.stop()
    assert "admin is ignored" in log
    assert SECRET not in log


async def test_what_the_configuration_does_not_allow_is_refused(start: Start):
    served = await start()
    client = python_sdk(served, signed({"sub": "ann"}))
    await client.connect()
    for channel, code in (
        ("nope:1", 102),
        ("news", 103),
        ("team:x#bob", 103),
        ("user:1", 103),
        ("$chat:2", 103),
        ("chat:ä", 107),
    ):
        room = Refusals()
        await client.new_subscription(channel, events=room).subscribe()
        await until(lambda room=room: room.codes, channel)
        assert room.codes == [code], channel
    for channel, token in (
        ("team:x#ann,bob", ""),
        ("$chat:1", signed({"sub": "ann", "channel": "$chat:1"})),
    ):
        allowed = client.new_subscription(channel, token=token)
        await allowed.subscribe()
        await allowed.ready(5)
    await client.disconnect()


class Refusals(SubscriptionEventHandler):
    def __init__(self) -> None:
        self.codes: list[int] = []

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.codes.append(ctx.code)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", 3501),
        ("nonsense", 3500),
        (signed({"sub": "ann", "channel": "chat:1"}), 3500),
        (signed({"sub": "ann"})[:-2], 3500),
    ],
    ids=["none", "nonsense", "of a subscription", "forged"],
)
async def test_nobody_connects_without_a_good_token(start: Start, token: str, code: int):
    served = await start()
    phone = PythonPhone()
    client = python_sdk(served, token, phone)
    await client.connect()
    await until(lambda: phone.disconnected, "the refusal")
    assert phone.disconnected == [code]


async def test_tokens_without_a_user_are_turned_away_where_they_are_disallowed(start: Start):
    disallowed = {**CONFIG["client"], "disallow_anonymous_connection_tokens": True}
    served = await start({**CONFIG, "client": disallowed})
    phone = PythonPhone()
    await python_sdk(served, signed({"sub": ""}), phone).connect()
    await until(lambda: phone.disconnected, "the refusal")
    assert phone.disconnected == [3507]


async def test_a_server_to_which_nobody_may_connect_says_so(start: Start):
    shut, open_to_all = await start({}), await start({"client": {"insecure": True}})
    assert "nobody may connect: set client.token" in await shut.stop()
    assert "nobody may connect" not in await open_to_all.stop()


async def test_only_what_is_enabled_is_offered(start: Start):
    served = await start()
    async with httpx.AsyncClient(base_url=f"http://{served.address}") as client:
        assert (await client.get("/health")).json() == {}
        assert b"pinghub_api_command" in (await client.get("/metrics")).content
        assert (await client.get("/connection/sse")).status_code == 404
        assert (await client.get("/nowhere")).json()["code"] == "request.not_found"
        assert (await client.get("/autobahn")).status_code == 404
        assert (await client.get("/connection/http_stream")).status_code == 405
        assert (await client.post("/api/info", json={})).status_code == 401
        wrong = {"Origin": "http://evil.example"}
        assert (await client.post("/connection/http_stream", headers=wrong)).status_code == 403
    for path in ("/nowhere", "/autobahn", "/api/publish"):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://{served.address}{path}")


async def test_a_stream_over_http_carries_the_same(start: Start):
    served = await start()
    connect = json.dumps({"id": 1, "connect": {"token": signed({"sub": "ann"})}})
    address = f"http://{served.address}/connection/http_stream"
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", address, content=connect) as stream,
    ):
        lines = stream.aiter_lines()
        reply = json.loads(await anext(lines))
        assert {"session", "node", "subs"} <= reply["connect"].keys()
        await served.call("publish", channel="user:#ann", data="for ann")
        push = json.loads(await anext(lines))["push"]
        assert (push["channel"], push["pub"]["data"]) == ("user:#ann", "for ann")


async def test_it_starts_without_its_redis_and_says_so(start: Start):
    served = await start(CONFIG, "--broker", "redis://127.0.0.1:1")
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{served.address}/health")).status_code == 503
    assert "Traceback" not in await served.stop()


async def test_insecure_asks_nobody_for_a_token(start: Start):
    served = await start({"client": {"insecure": True}, "http_api": {"insecure": True}})
    phone, room = PythonPhone(), Room()
    client = python_sdk(served, "", phone)
    await client.connect()
    subscription = client.new_subscription("anything", events=room)
    await subscription.subscribe()
    await subscription.publish("hello")
    await served.call("publish", channel="anything", data="from nobody")
    await until(lambda: room.seen == ["hello", "from nobody"], "both")
    with pytest.raises(CentrifugeError):
        await subscription.history(limit=1)  # nothing is kept
    await client.disconnect()


async def test_processes_share_a_redis(start: Start, redis_url: str):
    first = await start(CONFIG, "--broker", redis_url)
    second = await start(CONFIG, "--broker", redis_url)
    phone = PythonPhone()
    client = python_sdk(second, signed({"sub": "ann"}), phone)
    await client.connect()
    await client.ready(5)
    await first.call("publish", channel="user:#ann", data="across")
    await until(lambda: phone.seen == ["across"], "the publication")
    assert len((await first.call("info"))["result"]["nodes"]) == 2
    await first.call("disconnect", user="ann")
    await until(lambda: phone.disconnected == [3503], "the order")


async def test_the_end_sends_clients_away_to_come_back(start: Start):
    served = await start()
    async with websockets.connect(served.url) as client:
        await client.send(json.dumps({"id": 1, "connect": {"token": signed({"sub": "ann"})}}))
        assert "connect" in json.loads(await client.recv())
        stopping = asyncio.create_task(served.stop())
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                await client.recv()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 3001
    assert "process_stopped" in await stopping


async def test_the_echo_is_offered_only_when_asked_for(start: Start):
    served = await start({}, "--echo")
    async with websockets.connect(f"ws://{served.address}/autobahn", max_size=None) as client:
        for message in ("hello", b"\x00\xff", "x" * 1_000_000):
            await client.send(message)
            assert await client.recv() == message


@pytest.mark.parametrize(
    ("content", "arguments", "names"),
    [
        ({"client": {"ping_interval": "soon"}}, (), "client.ping_interval"),
        ({"client": {"token": {"rsa_public_key": "x"}}}, (), "client.token"),
        ({"engine": {"type": "nats"}}, (), "engine.type"),
        ({"http_server": {"tls": {"enabled": True}}}, (), "http_server.tls.enabled"),
        ({}, ("--broker", "kafka://x"), "--broker"),
    ],
)
def test_a_wrong_configuration_refuses_to_start(
    tmp_path: Path, content: Any, arguments: tuple[str, ...], names: str
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    line, environment = command("--config", str(path), "--port", "0", *arguments)
    done = subprocess.run(
        line, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2, done.stderr
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_neither_the_database_nor_the_product_is_loaded():
    script = (
        "import sys, hub.processes.realtime;"
        "print([name for name in sys.modules if name.startswith("
        "('asyncpg', 'core.db', 'hub.domains', 'hub.wiring', 'litestar', 'taskiq'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"
