"""Both websocket carriers on a real server, spoken to frame by frame."""

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import websockets
from websockets.frames import Opcode

from core import config
from hub.realtime.broker_memory import MemoryBroker
from tests.hub.realtime.house import Carrier, House, Socket, open_house, socket, until

ORIGIN = "https://app.example"


@pytest.fixture(params=["fast", "portable"])
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return request.param


@pytest.fixture
async def house(carrier: Carrier) -> AsyncGenerator[House]:
    settings = config.Realtime(max_message_bytes=10_000, buffer_max_bytes=100_000)
    async with open_house(MemoryBroker, settings, (ORIGIN,), carrier) as house:
        yield house


async def subscribe(client: Socket, channel: str, **request: object) -> dict[str, object]:
    await client.send({"id": 9, "subscribe": {"channel": channel, **request}})
    return await client.receive()


async def test_a_client_connects_subscribes_and_gets_publications(house: House):
    async with socket(house) as client:
        await client.send({"id": 1, "connect": {"token": "ann", "name": "test"}})
        connect = (await client.receive())["connect"]
        assert connect["ping"] == 25
        assert connect["pong"] is True
        sub = connect["subs"]["taps:ann"]
        assert sub == {"recoverable": True, "epoch": sub["epoch"], "positioned": True}
        assert (await subscribe(client, "room:a"))["subscribe"]["positioned"] is True  # pyright: ignore[reportIndexIssue]
        await house.publish("room:a", {"n": 1})
        await house.publish("taps:ann", {"n": 2})
        assert await client.receive() == {
            "push": {"channel": "room:a", "pub": {"data": {"n": 1}, "offset": 1}}
        }
        assert await client.receive() == {
            "push": {"channel": "taps:ann", "pub": {"data": {"n": 2}, "offset": 1}}
        }


async def test_several_answers_share_a_frame(house: House):
    async with socket(house, "ann") as client:
        await client.send(*({"id": number, "rpc": {}} for number in range(2, 7)))
        frame = await asyncio.wait_for(client.connection.recv(), 5)
        assert [json.loads(line)["id"] for line in frame.splitlines()] == [2, 3, 4, 5, 6]


async def test_a_publisher_sees_its_publication_before_the_reply(house: House):
    async with socket(house, "ann") as client:
        await subscribe(client, "room:a")
        await client.send({"id": 3, "publish": {"channel": "room:a", "data": {"n": 2}}})
        push, reply = await client.receive(), await client.receive()
        assert push["push"]["pub"]["data"] == {"n": 2}
        assert push["push"]["pub"]["info"]["user"] == "ann"
        assert reply == {"id": 3, "publish": {}}


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        ("", 3501, "bad request"),
        ("{", 3501, "bad request"),
        ("[]", 3501, "bad request"),
        ("{}", 3501, "bad request"),
        ('{"id":2,"connect":{"token":"ann"}}', 3501, "bad request"),
        ('{"id":2,"unheard":{}}', 3501, "bad request"),
        ('{"id":2,"rpc":{"data":' + "[" * 4000 + "]" * 4000 + "}}", 3501, "bad request"),
        ('{"id":2,"rpc":' + '{"a":' * 1500 + "1" + "}" * 1501, 3501, "bad request"),
        (b"\x00", 3501, "bad request"),
        ('{"id":2,"rpc":{"data":"' + "x" * 10_000 + '"}}', 1009, "message too big"),
    ],
)
async def test_a_broken_frame_closes_only_its_own_socket(
    house: House, frame: str | bytes, code: int, reason: str
):
    async with socket(house, "ann") as other, socket(house, "bob") as client:
        await client.connection.send(frame)
        assert await client.closed() == (code, reason)
        await house.publish("taps:ann", {"n": 1})
        assert (await other.receive())["push"]["pub"]["data"] == {"n": 1}


async def test_a_command_before_connect_closes_3501(house: House):
    async with socket(house) as client:
        await client.send({"id": 1, "subscribe": {"channel": "room:a"}})
        assert await client.closed() == (3501, "bad request")


async def test_a_forged_token_closes_3500_and_an_expired_one_is_answered_109(house: House):
    async with socket(house) as client:
        await client.send({"id": 1, "connect": {"token": "bad"}})
        assert await client.closed() == (3500, "invalid token")
    async with socket(house) as client:
        await client.send({"id": 1, "connect": {"token": "ann@1000"}})
        assert (await client.receive())["error"]["code"] == 109


async def test_refused_subscriptions_have_their_codes(house: House):
    async with socket(house, "bob") as client:
        for channel, code in (
            ("nope:x", 102),
            ("taps:ann", 103),
            ("room:secret", 103),
            ("taps:bob", 105),
            ("room:" + "x" * 300, 107),
        ):
            assert (await subscribe(client, channel))["error"]["code"] == code  # pyright: ignore[reportIndexIssue]
        await house.publish("taps:ann", {"private": True})
        await house.publish("taps:bob", {"n": 1})
        assert (await client.receive())["push"]["pub"]["data"] == {"n": 1}


async def test_who_leaves_a_channel_hears_no_more_of_it(house: House):
    async with socket(house, "ann") as client:
        await subscribe(client, "room:a")
        await client.send({"id": 3, "unsubscribe": {"channel": "room:a"}})
        assert await client.receive() == {"id": 3, "unsubscribe": {}}
        await house.publish("room:a", {"n": 1})
        await house.publish("taps:ann", {"n": 2})
        assert (await client.receive())["push"]["channel"] == "taps:ann"


async def test_a_missed_publication_is_recovered_by_offset_and_epoch(house: House):
    async with socket(house, "ann") as client:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]  # pyright: ignore[reportIndexIssue]
    for number in (1, 2):
        await house.publish("room:a", {"n": number})
    async with socket(house, "ann") as client:
        assert await subscribe(client, "room:a", recover=True, offset=1, epoch=epoch) == {
            "id": 9,
            "subscribe": {
                "recoverable": True,
                "epoch": epoch,
                "publications": [{"data": {"n": 2}, "offset": 2}],
                "recovered": True,
                "offset": 1,
                "positioned": True,
                "was_recovering": True,
            },
        }
    async with socket(house, "ann") as client:
        assert await subscribe(client, "room:a", recover=True, offset=1, epoch="zzzz") == {
            "id": 9,
            "subscribe": {
                "recoverable": True,
                "epoch": epoch,
                "offset": 2,
                "positioned": True,
                "was_recovering": True,
            },
        }
        refused = await subscribe(client, "room:b", recover=True, offset=1, epoch="z", flag=2)
        assert refused["error"]["code"] == 112  # pyright: ignore[reportIndexIssue]
        assert "subscribe" in await subscribe(client, "room:b")


async def test_more_than_the_limit_is_never_recovered_in_part(house: House):
    async with socket(house, "ann") as client:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]  # pyright: ignore[reportIndexIssue]
    for number in range(301):
        await house.publish("room:a", number)
    async with socket(house, "ann") as client:
        reply = await subscribe(client, "room:a", recover=True, offset=0, epoch=epoch)
        assert reply["subscribe"] == {  # pyright: ignore[reportIndexIssue]
            "recoverable": True,
            "epoch": epoch,
            "offset": 301,
            "positioned": True,
            "was_recovering": True,
        }


async def test_history_answers_position_pages_and_wrong_epoch(house: House):
    async with socket(house, "ann") as client:
        epoch = (await subscribe(client, "room:a"))["subscribe"]["epoch"]  # pyright: ignore[reportIndexIssue]
        for number in (1, 2, 3):
            await house.publish("room:a", number)
            await client.receive()

        async def history(**request: object) -> dict[str, object]:
            await client.send({"id": 5, "history": {"channel": "room:a", **request}})
            return await client.receive()

        top = {"publications": [], "epoch": epoch, "offset": 3}
        assert (await history())["history"] == top
        assert (await history(limit=1, since={"offset": 1, "epoch": epoch}))["history"] == {
            **top,
            "publications": [{"data": 2, "offset": 2}],
        }
        assert (await history(limit=2, reverse=True))["history"] == {
            **top,
            "publications": [{"data": 3, "offset": 3}, {"data": 2, "offset": 2}],
        }
        reply = await history(limit=1, since={"offset": 1, "epoch": "old"})
        assert reply["error"]["code"] == 112  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        (ORIGIN, 101),
        ("https://APP.example", 101),
        ("http://127.0.0.1:{port}", 101),
        ("https://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("https://app.example.evil.example", 403),
        ("http://app.example", 403),
        ("null", 403),
        ("http://127.0.0.1:port", 403),
        ("http://[", 403),
        ("http://[::1", 403),
    ],
)
async def test_pages_of_other_origins_are_refused_before_the_handshake(
    house: House, origin: str | None, status: int
):
    asked = origin.format(port=house.port) if origin else None
    try:
        async with websockets.connect(house.url, origin=asked):  # pyright: ignore[reportArgumentType]
            assert status == 101
    except websockets.InvalidStatus as error:
        refused = error.response
    else:
        return
    assert refused.status_code == status
    assert json.loads(refused.body)["code"] == "request.origin_refused"
    await until(lambda: not house.hub.connections)


@pytest.mark.parametrize(
    ("offered", "query", "confirmed", "opcode"),
    [
        (["centrifuge-json"], "", "centrifuge-json", Opcode.TEXT),
        (["centrifuge-protobuf", "centrifuge-json"], "", "centrifuge-protobuf", Opcode.BINARY),
        (["other"], "", None, Opcode.TEXT),
        ([], "?format=protobuf", None, Opcode.BINARY),
        ([], "?cf_protocol=protobuf", None, Opcode.BINARY),
        (["centrifuge-json"], "?format=protobuf", "centrifuge-json", Opcode.BINARY),
    ],
)
async def test_the_subprotocol_and_the_query_choose_the_format(
    house: House, offered: list[str], query: str, confirmed: str | None, opcode: Opcode
):
    connect = {
        Opcode.TEXT: '{"id":1,"connect":{"token":"ann"}}',
        Opcode.BINARY: bytes.fromhex("09 0801 2205 0a03") + b"ann",
    }
    async with websockets.connect(
        house.url + query,
        subprotocols=offered or None,  # pyright: ignore[reportArgumentType]
    ) as connection:
        assert connection.subprotocol == confirmed
        await connection.send(connect[opcode])
        answer = await asyncio.wait_for(connection.recv(), 5)
        assert isinstance(answer, bytes) == (opcode is Opcode.BINARY)
        assert (answer.encode() if isinstance(answer, str) else answer).count(b"taps:ann") == 1


async def test_plain_http_is_told_to_upgrade(house: House):
    async with httpx.AsyncClient() as client:
        response = await client.get(house.url.replace("ws://", "http://"))
    assert response.status_code == 426


async def test_a_client_that_does_not_read_is_closed_3008_and_others_do_not_notice(house: House):
    async with socket(house, "ann") as slow, socket(house, "bob") as other:
        await subscribe(slow, "room:a")
        await subscribe(other, "room:a")
        slow.connection.transport.pause_reading()
        closing = []
        for number in range(1, 5000):
            await house.publish("room:a", {"text": "x" * 5000})
            assert (await other.receive())["push"]["pub"]["offset"] == number
            closing = [item.closing for item in house.hub.connections if item.closing]
            if closing:
                break
        assert [item.code for item in closing if item] == [3008]
        slow.connection.transport.resume_reading()
        assert await slow.closed() == (3008, "slow")
        await house.publish("room:a", "after")
        assert (await other.receive())["push"]["pub"]["data"] == "after"


async def test_a_client_that_never_reads_again_is_cut_off(house: House, monkeypatch):
    monkeypatch.setattr("hub.realtime.carriers.asgi_websocket._CLOSE_SECONDS", 0.2)
    async with socket(house, "ann") as slow:
        await subscribe(slow, "room:a")
        slow.connection.transport.pause_reading()
        for _ in range(3000):
            await house.publish("room:a", {"text": "x" * 5000})
            await asyncio.sleep(0)
            if not house.hub.connections:
                break
        await until(lambda: not house.hub.connections, "the connection to be let go")
        slow.connection.transport.abort()


async def test_a_connection_without_connect_is_closed_3502():
    async with (
        open_house(MemoryBroker, config.Realtime(stale_close_seconds=0.1)) as house,
        socket(house) as client,
    ):
        assert await client.closed() == (3502, "stale")


async def test_pings_come_and_a_missing_pong_closes_3012():
    settings = config.Realtime(ping_interval_seconds=0.2, pong_timeout_seconds=0.1)
    async with open_house(MemoryBroker, settings) as house, socket(house, "ann") as client:
        for _ in range(3):
            assert await client.connection.recv() == "{}"
            await client.connection.send("{}")
        assert await client.closed() == (3012, "no pong")


@pytest.mark.parametrize("answers", [True, False])
async def test_tools_that_only_answer_websocket_pings_may_ask_for_those(answers: bool):
    settings = config.Realtime(ping_interval_seconds=0.1, pong_timeout_seconds=0.1)
    async with (
        open_house(MemoryBroker, settings) as house,
        websockets.connect(house.url + "?cf_ws_frame_ping_pong=true") as connection,
    ):
        client = Socket(connection)
        await client.send({"id": 1, "connect": {"token": "ann"}})
        assert not {"ping", "pong"} & (await client.receive())["connect"].keys()
        if not answers:
            connection.protocol.send_frame = lambda _frame: None  # its own pongs
            assert await client.closed() == (3012, "no pong")
            return
        with pytest.raises(TimeoutError):  # neither a message nor the end, over several pings
            await asyncio.wait_for(connection.recv(), 0.6)
        await client.connection.send("{}")
        assert await client.closed() == (3501, "bad request")


async def test_the_portable_carrier_leaves_websocket_pings_to_its_server():
    settings = config.Realtime(ping_interval_seconds=0.05, pong_timeout_seconds=0.05)
    async with (
        open_house(MemoryBroker, settings, carrier="portable") as house,
        websockets.connect(house.url + "?cf_ws_frame_ping_pong=true") as connection,
    ):
        client = Socket(connection)
        await client.send({"id": 1, "connect": {"token": "ann"}})
        assert "ping" not in (await client.receive())["connect"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.3)


async def test_draining_sends_everybody_away_one_after_the_other(house: House):
    async with socket(house, "ann") as first, socket(house, "bob") as second:
        loop = asyncio.get_running_loop()
        ends: list[float] = []

        async def end(client: Socket) -> tuple[int, str]:
            closed = await client.closed()
            ends.append(loop.time())
            return closed

        _, *closed = await asyncio.gather(house.hub.close(0.4), end(first), end(second))
        assert closed == [(3001, "shutdown"), (3001, "shutdown")]
        assert abs(ends[0] - ends[1]) > 0.1
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await websockets.connect(house.url)


async def test_nothing_is_left_of_clients_that_went_away(house: House):
    for _ in range(20):
        async with socket(house, "ann") as client:
            await subscribe(client, "room:a")
            await client.send({"id": 3, "subscribe": {"channel": "room:b"}})
    await until(lambda: not house.hub.connections)
    assert house.hub._registry.channels == {}
    assert house.hub.timers._members == set()


async def test_a_client_may_send_faster_than_it_is_served(house: House):
    async with socket(house, "ann") as client:
        for start in (1000, 2000, 3000):
            await client.send(
                *(
                    {"id": number, "subscribe": {"channel": f"plain:{number}"}}
                    for number in range(start, start + 120)
                )
            )
        answers = [await client.receive() for _ in range(360)]
        assert [item["id"] for item in answers] == [
            number for start in (1000, 2000, 3000) for number in range(start, start + 120)
        ]
        assert sum("subscribe" in item for item in answers) == 127
        assert {item["error"]["code"] for item in answers if "error" in item} == {106}


async def test_an_application_that_fails_costs_one_command_only(house: House, monkeypatch):
    async def broken(_claims: object, _channel: str) -> bool:
        raise RuntimeError("database on fire")

    async with socket(house, "ann") as client:
        with monkeypatch.context() as patch:
            patch.setattr(house.app, "authorize", broken)
            reply = await subscribe(client, "room:a")
        assert reply["error"]["code"] == 100  # pyright: ignore[reportIndexIssue]
        assert "fire" not in json.dumps(reply)
        assert "subscribe" in await subscribe(client, "room:a")
