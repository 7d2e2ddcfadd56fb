"""Every refusal is one line of the log with its code, and none repeats what a stranger said."""

import json
from collections.abc import AsyncGenerator, Iterator, MutableMapping
from typing import Any

import httpx
import pytest
import websockets
from structlog.testing import capture_logs

from core import config
from hub.realtime.broker_memory import MemoryBroker
from tests.hub.realtime.house import API_KEY, House, open_house, socket, until

CANARY = "canary"
"""Begins everything that clients send and no line may repeat."""
Lines = list[MutableMapping[str, Any]]


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    settings = config.Realtime(max_message_bytes=1000)
    async with open_house(MemoryBroker, settings, ("https://app.example",)) as house:
        yield house


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured
    assert CANARY not in json.dumps(captured)


def refused(lines: Lines) -> list[tuple[str, int, str]]:
    """Return door, status and code of the requests that were refused."""
    return [
        (line["door"], line["status"], line["code"])
        for line in lines
        if line["event"] == "request_refused"
    ]


@pytest.mark.parametrize("door", ["websocket", "http_stream", "sse", "emulation"])
async def test_pages_of_other_origins_are_refused(house: House, lines: Lines, door: str):
    origin = f"https://{CANARY}.example"
    if door == "websocket":
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(house.url, origin=websockets.Origin(origin))
    else:
        path = "/emulation" if door == "emulation" else f"/connection/{door}"
        async with httpx.AsyncClient(base_url=house.http_url) as http:
            await http.post(path, content=f"{CANARY}-body", headers={"origin": origin})
    assert refused(lines) == [(door, 403, "request.origin_refused")]


@pytest.mark.parametrize(
    ("door", "request_line", "status"),
    [
        ("none", f"GET /{CANARY}-path", 404),
        ("websocket", f"GET /connection/websocket?token={CANARY}", 426),
        ("sse", "GET /connection/sse", 400),
        ("sse", f"PUT /connection/sse?cf_connect={CANARY}", 405),
        ("http_stream", f"GET /connection/http_stream?{CANARY}", 405),
        ("http_stream", "POST /connection/http_stream", 413),
        ("emulation", f"POST /emulation?{CANARY}", 413),
        ("api", f"POST /api/{CANARY}-method", 401),
        ("tail", f"POST /api/tail?{CANARY}", 401),
    ],
)
async def test_requests_that_are_wrong_are_refused(
    house: House, lines: Lines, door: str, request_line: str, status: int
):
    headers = {"x-api-key": f"{CANARY}-key", "cookie": f"{CANARY}-cookie"}
    body = f"{CANARY}-body" * 200
    method, path = request_line.split(" ")
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        answer = await http.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert [line[:2] for line in refused(lines)] == [(door, status)]


async def test_an_unknown_session_is_refused(house: House, lines: Lines):
    body = {"node": f"{CANARY}-node", "session": f"{CANARY}-session", "data": f"{CANARY}-data"}
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        await http.post("/emulation", json=body)
    assert refused(lines) == [("emulation", 404, "request.not_found")]


async def test_a_handshake_that_is_none_is_refused(house: House, lines: Lines):
    headers = {"connection": "upgrade", "upgrade": "websocket", "cookie": f"{CANARY}-cookie"}
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        answer = await http.get(f"/connection/websocket?{CANARY}", headers=headers)
    assert answer.status_code == 426
    assert [line[:2] for line in refused(lines)] == [("websocket", 426)]


async def test_a_hub_that_leaves_refuses_newcomers(house: House, lines: Lines):
    house.hub.draining = True
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(house.url)
    async with httpx.AsyncClient(base_url=house.http_url) as http:
        await http.post("/connection/http_stream", content="{}")
    expected = [(door, 503, "service.unavailable") for door in ("websocket", "http_stream")]
    assert refused(lines) == expected


async def test_a_command_is_refused_with_its_namespace_and_code(house: House, lines: Lines):
    async with socket(house, "ann") as client:
        for channel in (f"taps:{CANARY}", f"{CANARY}:a"):
            await client.send({"id": 2, "subscribe": {"channel": channel}})
            assert "error" in await client.receive()
        await client.send({"id": 3, "rpc": {"method": f"{CANARY}-rpc", "data": CANARY}})
        assert "error" in await client.receive()
    found = [line for line in lines if line["event"] == "command_refused"]
    assert [(line["method"], line["namespace"], line["code"]) for line in found] == [
        ("subscribe", "taps", 103),
        ("subscribe", "", 102),
        ("rpc", "", 104),
    ]
    assert all(line["client"] for line in found)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"id":1,"connect":{"token":"bad","name":"canary"}}', 3500),
        ('{"id":1,"canary-command":{}}', 3501),
        ("canary" * 1000, 1009),
    ],
)
async def test_a_closed_connection_is_told_by_its_code(
    house: House, lines: Lines, frame: str, code: int
):
    async with socket(house) as client:
        await client.connection.send(frame)
        assert (await client.closed())[0] == code
    events = ("connection_closed_by_server", "websocket_failed")
    assert [line["code"] for line in lines if line["event"] in events] == [code]


async def test_what_a_server_gives_as_reason_is_not_told(house: House, lines: Lines):
    async with socket(house, "ann") as client, httpx.AsyncClient(base_url=house.http_url) as http:
        order = {"user": "ann", "disconnect": {"code": 4500, "reason": f"{CANARY}-reason"}}
        await http.post("/api/disconnect", json=order, headers={"x-api-key": API_KEY})
        assert await client.closed() == (4500, f"{CANARY}-reason")
    await until(lambda: [line for line in lines if line.get("code") == 4500])


async def test_refused_calls_of_the_server_api_are_told(house: House, lines: Lines):
    async with httpx.AsyncClient(base_url=house.http_url, headers={"x-api-key": API_KEY}) as http:
        await http.post("/api/publish", json={"channel": f"{CANARY}:a", "data": CANARY})
        channels = ["room:a", f"{CANARY}:a", f"{CANARY}:b"]
        await http.post("/api/broadcast", json={"channels": channels, "data": CANARY})
        commands: list[Any] = [{f"{CANARY}-method": {}}, {"presence": {"channel": "room:a"}}]
        await http.post("/api/batch", json={"commands": commands})
        await http.post("/api", json={"method": f"{CANARY}-method", "params": {}})
        await http.post("/api/publish", content=f'{{"channel":"{CANARY}')
    told = [
        (line["method"], line["code"], line["count"])
        for line in lines
        if line["event"] == "api_call_refused"
    ]
    assert told == [
        ("publish", 102, 1),
        ("broadcast", 102, 2),
        ("unknown", 104, 1),
        ("presence", 108, 1),
        ("unknown", 104, 1),
    ]
    assert refused(lines) == [("api", 400, "request.malformed")]
