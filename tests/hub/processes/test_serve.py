"""`pinghub serve` as a process: it starts without its services, serves, and stops in order."""

import asyncio
import json
import re
import signal
import socket
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import websockets
from msgspec.structs import replace

from core import config
from core.errors import ConfigError
from hub.processes import serve as serve_process
from tests.fixtures.app import with_server
from tests.fixtures.ports import free_port
from tests.fixtures.served import environment
from tests.fixtures.waiting import running_seconds, wait_until
from tests.hub.realtime.house import raises_eventually, until


@pytest.fixture
def settings(served_settings: config.Settings) -> config.Settings:
    return served_settings


@pytest.mark.req("PRD-01")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_cleanly(serve, settings, number):
    served = serve(settings)
    served.wait_ready()
    assert httpx.get(f"{served.url}/readyz").json()["status"] == "ready"
    answer = httpx.get(f"{served.url}/nowhere")
    assert answer.json()["code"] == "request.not_found"
    assert "server" not in answer.headers
    # Nobody is a trusted proxy by default, and nobody behind a proxy is on this machine.
    users = f"{served.url}/v1/auth/development/users"
    assert httpx.get(users).status_code == 200
    assert httpx.get(users, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    with pytest.raises((httpx.HTTPStatusError, httpx.TransportError)):
        httpx.get(users, headers={"X-Endless": "x" * 1_000_000}).raise_for_status()
    assert served.stop(number) == 0
    assert served.said("process_stopped")
    with pytest.raises(httpx.ConnectError):
        httpx.get(served.url)


def test_a_request_in_flight_is_answered_before_the_end(serve, settings):
    served = serve(settings)
    served.wait_ready()
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        body = b'{"refresh_token":"' + b"x" * 43 + b'"}'
        head = (
            "POST /v1/auth/refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body[:10])
        served_requests = f"{served.url}/metrics"
        assert httpx.get(served_requests).status_code == 200
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: served.said("drain_started"), "the drain")
        client.sendall(body[10:])
        client.settimeout(5)
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 401"), answer
    assert b"auth.token_invalid" in answer
    assert served.process.wait(15) == 0


async def test_sockets_are_sent_away_with_shutdown(serve, settings):
    served = serve(settings)
    served.wait_ready()
    async with websockets.connect(f"ws://127.0.0.1:{served.port}/connection/websocket") as client:
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                await client.recv()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 3001
    assert await asyncio.to_thread(served.process.wait, 15) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_drain_spreads_the_closes_and_finishes_what_was_asked(serve, settings, workers):
    drain_seconds, count = 2.0, 200
    served = serve(with_server(settings, drain_seconds=drain_seconds), "--workers", str(workers))
    served.wait_ready()
    async with AsyncExitStack() as stack:
        url = f"ws://127.0.0.1:{served.port}/connection/websocket"
        clients = [
            await stack.enter_async_context(websockets.connect(url, open_timeout=30))
            for _ in range(count)
        ]
        slow = await half_a_request(served.port)
        kept = await half_a_request(served.port)
        await finish(*kept)
        assert await answer_of(kept[0]) == 401
        started_at = running_seconds()
        served.process.send_signal(signal.SIGTERM)
        closes = [asyncio.create_task(close_of(client)) for client in clients]
        await raises_eventually(
            lambda: asyncio.open_connection("127.0.0.1", served.port), ConnectionRefusedError
        )
        assert running_seconds() - started_at < drain_seconds / 4
        # Who has a connection already is served, but gets no new stream.
        kept[1].write(
            b"POST /connection/http_stream HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        )
        assert await answer_of(kept[0]) == 503
        await until(lambda: sum(close.done() for close in closes) > count / 2)
        await finish(*slow)
        assert await answer_of(slow[0]) == 401
        ends = await asyncio.gather(*closes)
    assert {code for code, _ in ends} == {3001}
    # Even shares in each quarter of the time: no herd, neither at the beginning nor at the end.
    quarters = Counter(int((at - started_at) / drain_seconds * 4) for _, at in ends)
    assert sum(quarters[number] for number in range(4)) >= count * 0.9
    assert all(quarters[number] < count * 0.4 for number in range(4)), quarters
    assert all(quarters[number] > count * 0.1 for number in range(4)), quarters
    assert await asyncio.to_thread(served.process.wait, 15) == 0
    assert running_seconds() - started_at < drain_seconds + 10


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_ends_a_drain_at_once(serve, settings, workers):
    served = serve(with_server(settings, drain_seconds=60.0), "--workers", str(workers))
    served.wait_ready()
    url = f"ws://127.0.0.1:{served.port}/connection/websocket"
    async with websockets.connect(url), websockets.connect(url), websockets.connect(url):
        started_at = running_seconds()
        served.process.send_signal(signal.SIGTERM)
        await until(lambda: len(served.events("drain_started")) == workers)
        served.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(served.process.wait, 15) == 0
        assert running_seconds() - started_at < 10


Request = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def half_a_request(port: int) -> Request:
    """Send a request but for the end of its body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        "POST /v1/auth/refresh HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/json\r\nContent-Length: 63\r\n\r\n"
    )
    writer.write(head.encode() + b'{"refresh_token":"')
    return reader, writer


async def finish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"x" * 43 + b'"}')


async def answer_of(reader: asyncio.StreamReader) -> int:
    """Read one answer; return its status."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        await reader.readexactly(length)
    return int(head.split()[1])


async def close_of(client: websockets.ClientConnection) -> tuple[int, float]:
    """Return code and time of the close."""
    await client.wait_closed()
    return client.close_code or 0, running_seconds()


def test_only_a_trusted_proxy_says_who_the_client_is(serve, settings):
    served = serve(with_server(settings, trusted_proxies=("127.0.0.1",)))
    served.wait_ready()
    users = f"{served.url}/v1/auth/development/users"
    assert httpx.get(users, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    assert httpx.get(users).status_code == 200
    assert served.stop() == 0


async def test_websockets_from_other_pages_are_refused(serve, settings):
    served = serve(settings)
    served.wait_ready()
    url = f"ws://127.0.0.1:{served.port}/connection/websocket"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with websockets.connect(url, origin=f"http://localhost:{served.port}"):
        pass
    assert served.stop() == 0


def test_it_starts_and_stops_while_its_services_are_away(serve, settings):
    away = {
        "PINGHUB_DATABASE__URL": f"postgresql://x:x@127.0.0.1:{free_port()}/x",
        "PINGHUB_DATABASE__SYSTEM_URL": f"postgresql://x:x@127.0.0.1:{free_port()}/x",
        "PINGHUB_REDIS__URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    loaded = config.load(environment(settings, Path("/nonexistent")) | away)
    served = serve(loaded)
    served.wait_ready()
    started = running_seconds()
    answer = httpx.get(f"{served.url}/readyz")
    assert running_seconds() - started < 2
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"postgres": "away", "redis": "away"}
    assert served.stop() == 0


def test_a_port_in_use_is_one_line(serve, settings):
    with socket.create_server(("127.0.0.1", settings.server.port)):
        served = serve(settings)
        assert served.process.wait(15) == 2
    (line,) = served.log.read_text().strip().splitlines()
    assert f"127.0.0.1:{settings.server.port}" in line
    assert "server.port" in line


def test_a_missing_setting_is_named_before_anything_starts(settings):
    for lacking, named in (
        (replace(settings, database=config.Database()), "database.url"),
        (replace(settings, redis=config.Redis()), "redis.url"),
        (replace(settings, auth=config.Auth()), "auth.signing_keys"),
        (replace(settings, keys=replace(settings.keys, index_key="short")), "keys.index_key"),
    ):
        with pytest.raises(ConfigError, match=re.escape(named)) as refused:
            serve_process.run(lacking)
        assert "short" not in str(refused.value)


def test_streams_are_served_and_their_tokens_stay_out_of_the_log(serve, settings):
    origin = "https://app.example"
    served = serve(with_server(settings, allowed_origins=(origin,)))
    served.wait_ready()
    connect = '{"id":1,"connect":{"token":"a-secret-token"}}'
    farewell = {"push": {"disconnect": {"code": 3500, "reason": "invalid token"}}}
    with httpx.Client(base_url=served.url, headers={"origin": origin}) as client:
        events = client.get("/connection/sse", params={"cf_connect": connect})
        assert json.loads(events.text.strip().removeprefix("data: ")) == farewell
        assert events.headers["access-control-allow-origin"] == origin
        stream = client.post("/connection/http_stream", content=connect)
        assert stream.json() == farewell
        assert stream.headers["x-accel-buffering"] == "no"
        binary = {"content-type": "application/octet-stream"}
        assert client.post("/emulation", content=b"\xff", headers=binary).status_code == 400
        body = {"node": "n", "session": "s", "data": "{}"}
        assert client.post("/emulation", json=body).status_code == 404
        for path in ("/connection/sse", "/connection/http_stream", "/emulation"):
            preflight = {"access-control-request-method": "POST"}
            allowed = client.options(path, headers=preflight)
            assert allowed.status_code == 204
            assert allowed.headers["access-control-allow-origin"] == origin
            evil = client.options(path, headers={**preflight, "origin": "https://evil.example"})
            assert evil.status_code == 403
    assert served.stop() == 0
    log = served.log.read_text()
    assert "a-secret-token" not in log
    assert "cf_connect" not in log
    paths = [line["path"] for line in served.events("request_finished")]
    assert "/connection/sse" in paths
