"""What a hub adds to its sessions: the application, time limits, and how much it takes in."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
import websockets

from core import config
from hub.realtime import codes
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.delivery.outlet import Queue
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.tokens.claims import ConnectClaims
from tests.hub.realtime.house import House, open_house, socket, until

SETTINGS = config.Realtime(
    command_timeout_seconds=0.1,
    max_connections=3,
    max_connections_per_user=2,
    forwarded_headers=("Authorization", "user-agent"),
)


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    async with open_house(MemoryBroker, SETTINGS) as running:
        yield running


async def test_the_application_sees_what_the_client_says_and_the_headers_that_may_pass(
    house: House,
):
    headers = {"User-Agent": "a phone", "X-Secret": "s"}
    async with websockets.connect(house.url, additional_headers=headers) as connection:
        connect = {
            "token": "ann",
            "data": {"n": 1},
            "name": "js",
            "version": "1",
            "headers": {"Authorization": "Bearer x", "User-Agent": "a lie", "X-Other": "y"},
        }
        await connection.send(json.dumps({"id": 1, "connect": connect}))
        await connection.recv()
    (request,) = house.app.requests
    assert json.loads(bytes(request.data)) == {"n": 1}
    assert (request.name, request.version) == ("js", "1")
    assert (request.transport, request.framing) == ("websocket", "json")
    assert request.headers["authorization"] == "Bearer x"
    assert "a lie" not in request.headers.values()
    assert not {"x-secret", "x-other"} & request.headers.keys()


async def test_data_and_info_of_an_anonymous_client_come_from_the_application(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def verify(token: str, _request: object) -> ConnectClaims:
        assert token == ""
        return ConnectClaims(user="")

    monkeypatch.setattr(house.app, "verify_connection", verify)
    async with socket(house) as client:
        await client.send({"id": 1, "connect": {}})
        assert set((await client.receive())["connect"]) == {"client", "ping", "pong"}


async def test_a_procedure_answers_with_what_the_application_returns(house: House):
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "rpc": {"method": "echo", "data": {"n": 1}}})
        assert await client.receive() == {
            "id": 2,
            "rpc": {"data": {"user": "ann", "data": {"n": 1}}},
        }
        await client.send({"id": 3, "rpc": {"method": "refuse"}})
        assert (await client.receive())["error"] == {"code": 404, "message": "not.found"}


async def test_a_procedure_that_fails_or_takes_too_long_is_a_temporary_error(house: House):
    async def broken(*_: object) -> bytes:
        raise RuntimeError("on fire")

    async def endless(*_: object) -> bytes:
        await asyncio.Event().wait()
        return b""

    house.app.rpc |= {"echo": broken, "refuse": endless}
    async with socket(house, "ann") as client:
        for number, method in ((2, "echo"), (3, "refuse")):
            await client.send({"id": number, "rpc": {"method": method}})
            assert (await client.receive())["error"]["code"] == 100
        await client.send({"id": 4, "unsubscribe": {"channel": "x"}})
        assert await client.receive() == {"id": 4, "unsubscribe": {}}


async def test_calls_end_with_their_connection(house: House):
    ended = asyncio.Event()

    async def endless(*_: object) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    house.app.rpc["echo"] = endless
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "rpc": {"method": "echo"}})
        await client.send({"id": 3, "unsubscribe": {"channel": "x"}})
        assert (await client.receive())["id"] == 3
    await asyncio.wait_for(ended.wait(), 5)


async def test_an_application_that_hangs_does_not_hold_a_connection_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def endless(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(house.app, "authorize", endless)
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "subscribe": {"channel": "room:a"}})
        assert (await client.receive())["error"]["code"] == 100
        assert house.hub.channels() == {"taps:ann": 1}


async def test_what_is_sent_reaches_the_application_in_order(house: House):
    async with socket(house, "ann") as client:
        await client.send({"send": {"data": 1}}, {"send": {"data": 2}})
        await until(lambda: len(house.app.messages) == 2)
    assert house.app.messages == [("ann", 1), ("ann", 2)]


async def test_a_subscription_token_opens_and_renews(house: House):
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "subscribe": {"channel": "$plain:a", "token": "ann|$plain:a"}})
        assert await client.receive() == {"id": 2, "subscribe": {}}
        token = "ann|$plain:a|4000000000"
        await client.send({"id": 3, "sub_refresh": {"channel": "$plain:a", "token": token}})
        assert (await client.receive())["sub_refresh"]["expires"]
        await client.send({"id": 4, "subscribe": {"channel": "$plain:b", "token": "bad|x"}})
        assert (await client.receive())["error"]["code"] == 103


async def test_a_user_has_so_many_connections_and_no_more(house: House):
    async with socket(house, "ann"), socket(house, "ann"):
        async with socket(house) as third:
            await third.send({"id": 1, "connect": {"token": "ann"}})
            assert await third.closed() == (3504, "connection limit")
        async with socket(house) as other:
            await other.send({"id": 1, "connect": {"token": "bob"}})
            assert "connect" in await other.receive()


async def test_a_full_hub_turns_newcomers_away_before_the_handshake(house: House):
    async with socket(house, "ann"), socket(house, "bob"), socket(house, "eve"):
        assert house.hub.turns_away
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with socket(house, "dan"):
                pass
        assert refused.value.response.status_code == 503


async def test_a_connection_at_its_users_limit_renews_its_token(house: House):
    async with socket(house, "ann") as first, socket(house, "ann"):
        await first.send({"id": 2, "refresh": {"token": "ann"}})
        assert await first.receive() == {"id": 2, "refresh": {}}


async def test_a_channel_that_is_a_cache_recovers_its_newest_state_and_goes_on(house: House):
    for number in range(3):
        await house.publish("state:a", number)
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "subscribe": {"channel": "state:a", "recover": True}})
        reply = (await client.receive())["subscribe"]
        assert [item["data"] for item in reply["publications"]] == [2]
        assert (reply["recovered"], reply["was_recovering"]) == (True, True)
        await house.publish("state:a", 3)
        assert (await client.receive())["push"]["pub"]["data"] == 3


async def test_a_cache_that_recovers_by_itself_gives_its_state_to_whoever_joins(house: House):
    await house.publish("news:a", "old")
    await house.publish("news:a", "new")
    async with socket(house, "ann") as client:
        await client.send({"id": 2, "subscribe": {"channel": "news:a"}})
        reply = (await client.receive())["subscribe"]
        assert [item["data"] for item in reply["publications"]] == ["new"]
        assert (reply["recovered"], reply["was_recovering"]) == (True, True)


async def test_a_client_that_would_recover_where_nothing_is_kept_is_told_that_it_did_not(
    house: House,
):
    async with socket(house, "ann") as client:
        request = {"channel": "plain:a", "recover": True, "offset": 3, "epoch": "e"}
        await client.send({"id": 2, "subscribe": request})
        assert await client.receive() == {"id": 2, "subscribe": {"was_recovering": True}}


async def never(*_: object) -> ConnectClaims:
    await asyncio.Event().wait()
    raise AssertionError


FRAME = json.dumps({"id": 2, "publish": {"channel": "room:a", "data": "x" * 60_000}}).encode()


async def test_a_client_is_read_no_further_than_some_bytes_while_its_commands_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(house.app, "verify_connection", never)
    connection = house.hub.open(Queue(JSON, 1 << 20, lambda: None), JSON)
    connection.feed(b'{"id":1,"connect":{"token":"ann"}}')
    taken = 0
    while connection.feed(FRAME):
        taken += 1
    assert taken == 262_144 // len(FRAME)
    connection.lost()


async def test_emulated_frames_that_come_side_by_side_are_bounded_too(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(house.app, "verify_connection", never)
    queue = Queue(JSON, 1 << 20, lambda: None)
    connection = house.hub.open(queue, JSON, transport="http_stream", emulated=True)
    session = connection.session.secret
    connection.feed(b'{"id":1,"connect":{"token":"ann"}}')
    found = await asyncio.gather(*(house.hub.emulate(session, FRAME) for _ in range(30)))
    assert found.count(True) == 1 + (1 << 20) // len(FRAME)
    assert queue.closing == codes.CLOSE_TOO_MANY_REQUESTS
    connection.lost()
