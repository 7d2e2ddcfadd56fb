"""`pinghub serve --workers N`: one port, several processes, and what becomes of them."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from centrifuge import Client
from msgspec.structs import replace

from core import config
from core.ids import new_id
from hub.http.limits import POLICIES
from hub.http.tokens import load_keys
from hub.realtime.broker import PublishRequest
from hub.realtime.redis.broker import RedisBroker
from tests.fixtures.ports import free_row
from tests.fixtures.served import Served
from tests.fixtures.waiting import wait_until
from tests.hub.realtime.desk import Way, furnish, transports
from tests.hub.realtime.house import KEPT, until
from tests.hub.realtime.test_sdk_python import Phone

Serve = Callable[..., Served]
CLAIMS = POLICIES["gateway_claim"]


@pytest.fixture
def settings(served_settings: config.Settings) -> config.Settings:
    # Workers count upwards.
    return replace(served_settings, metrics=config.Metrics(port=free_row(2)))


@pytest.fixture
def served(serve: Serve, settings: config.Settings) -> Served:
    served = serve(settings, "--workers", "2")
    served.wait_ready()
    return served


def pids(served: Served) -> dict[int, int]:
    """Return the pid of each worker, the latest if it was replaced."""
    return {line["worker"]: line["pid"] for line in served.events("worker_ready")}


def figures(settings: config.Settings, worker: int) -> str:
    return httpx.get(f"http://127.0.0.1:{settings.metrics.port + worker}/metrics").text


def claim(served: Served) -> int:
    """Claim a gateway by a code that nobody has; return the status of the answer."""
    body = {"claim_code": "nobody", "csr": ""}
    return httpx.post(f"{served.url}/v1/gateways/claim", json=body, timeout=20).status_code


def test_two_workers_serve_one_port_count_together_and_show_their_own_figures(
    served: Served, settings: config.Settings
):
    assert len(served.events("process_ready")) == 1
    assert served.events("process_ready")[0]["workers"] == 2
    assert sorted(pids(served)) == [0, 1]
    # Both are asked in the end: each request comes by a connection of its own.
    wait_until(
        lambda: (
            httpx.get(f"{served.url}/livez").status_code == 200
            and all('path="/livez"' in figures(settings, worker) for worker in (0, 1))
        ),
        "both workers to have answered",
        30,
    )
    # A limit is one for both, to the request and what the time in between gives back.
    started_at = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        passed = sum(threads.map(lambda _: claim(served) != 429, range(60)))
    given_back = (time.monotonic() - started_at) * CLAIMS.quota / CLAIMS.window_seconds
    assert CLAIMS.quota <= passed <= CLAIMS.quota + given_back + 1
    assert all('path="/v1/gateways/claim"' in figures(settings, worker) for worker in (0, 1))
    assert served.stop() == 0
    assert len(served.events("process_stopped")) == 2
    with pytest.raises(httpx.ConnectError):
        httpx.get(served.url)


def test_a_killed_worker_is_replaced_while_the_other_serves(served: Served):
    first = pids(served)
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: served.said("worker_ended"), "the parent to notice")
    assert served.events("worker_ended")[0]["exit_code"] == -signal.SIGKILL
    assert httpx.get(f"{served.url}/livez").status_code == 200
    wait_until(lambda: pids(served)[0] != first[0], "a new worker")
    assert pids(served)[1] == first[1]
    assert served.stop() == 0


def test_a_connection_that_waits_to_be_accepted_survives_all_workers(served: Served):
    first = pids(served)
    for pid in first.values():
        os.kill(pid, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        for pid in first.values():
            os.kill(pid, signal.SIGKILL)
        client.settimeout(20)
        assert client.recv(12) == b"HTTP/1.1 200"
    assert served.stop() == 0


async def test_sdks_of_killed_workers_come_back_and_miss_nothing(
    serve: Serve, settings: config.Settings
):
    settings = replace(
        settings,
        # Pongs of the stream come by requests that either worker may take.
        realtime=config.Realtime(ping_interval_seconds=0.3, pong_timeout_seconds=3.0),
    )
    served = serve(settings, "--workers", "2")
    served.wait_ready()
    keys = load_keys(settings.auth)
    url = f"ws://127.0.0.1:{served.port}/connection/websocket"
    user, phones, clients = new_id(), [Phone() for _ in range(12)], list[Client]()
    token = keys.issue(user, new_id(), "user")
    broker = RedisBroker(settings.redis)
    await broker.start()
    done = asyncio.Event()
    publishing = asyncio.create_task(publish_until(broker, f"taps:{user}", done))
    async with furnish() as desk:
        way = Way("http_stream", "json")
        await desk.open(
            transports(served.url, way), way.format, token, emulation=f"{served.url}/emulation"
        )
        for number, phone in enumerate(phones):
            client = Client(
                url,
                token=token,
                events=phone,
                use_protobuf=number % 2 == 0,
                min_reconnect_delay=0.01,
            )
            clients.append(client)
            await client.connect()
            await client.ready(20)
        await desk.wait("subscribed")
        killed_at = 0
        for worker in (0, 1):
            pid = pids(served)[worker]
            os.kill(pid, signal.SIGKILL)
            killed_at = len(phones[0].seen)
            await until(lambda worker=worker, pid=pid: pids(served)[worker] != pid, "a new one", 20)
        await until(lambda: len(phones[0].seen) > killed_at + 10)
        done.set()
        count = await publishing
        await until(lambda: all(last(phone.seen) == count - 1 for phone in phones))
        # Each phone subscribed at a moment of its own; from there on it has everything, once.
        for phone in phones:
            numbers = [int(item) for item in phone.seen]
            assert numbers == list(range(numbers[0], count))
            assert all(phone.recovered)
        assert sum(phone.connects for phone in phones) > len(phones)
        await until(lambda: last(desk.seen(f"taps:{user}")) == count - 1)
        numbers = desk.seen(f"taps:{user}")
        assert numbers == list(range(numbers[0], count))
        for client in clients:
            await client.disconnect()
    await broker.close()
    assert await asyncio.to_thread(served.stop) == 0


def last(seen: list[Any]) -> int:
    return int(seen[-1]) if seen else -1


async def publish_until(broker: RedisBroker, channel: str, done: asyncio.Event) -> int:
    number = 0
    while not done.is_set():
        request = PublishRequest(channel=channel, data=b"%d" % number, history=KEPT)
        await broker.publish(request)
        number += 1
        await asyncio.sleep(0.01)
    return number


def test_a_wrong_setting_is_said_once_and_ends_everything(serve: Serve, settings: config.Settings):
    served = serve(replace(settings, auth=config.Auth()), "--workers", "3")
    assert served.process.wait(20) == 2
    (line,) = served.log.read_text().strip().splitlines()
    assert "auth.signing_keys" in line


def test_workers_do_not_outlive_a_killed_parent(served: Served):
    served.process.kill()
    served.process.wait()
    wait_until(lambda: len(served.events("process_stopped")) == 2, "the workers to stop")
