"""A Centrifugo configuration in the product: what it adds, and what it may not change."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from core.config import Realtime, Settings
from core.errors import ConfigError
from hub.realtime import codes
from hub.realtime.application import ClientError, ConnectionRequest
from hub.realtime.broker import HistoryOptions, PublishRequest
from hub.realtime.channels import DEFAULT, Grammar
from hub.realtime.delivery.outlet import Queue
from hub.realtime.hub import Hub
from hub.realtime.protocol.json_framing import JSON
from hub.realtime.tokens.claims import TokenExpiredError, TokenInvalidError
from hub.wiring.channels import NAMESPACES
from hub.wiring.configured import configured
from tests.fixtures.app import Running, User
from tests.hub.realtime.house import until
from tests.hub.realtime.jwt_maker import SECRET, signed

Start = Callable[[Settings], Awaitable[Running]]
KEPT = {"history_size": 10, "history_ttl": "60s"}
ADDED: dict[str, Any] = {
    "client": {
        "token": {"hmac_secret_key": SECRET},
        "subscribe_to_user_personal_channel": {
            "enabled": True,
            "personal_channel_namespace": "user",
        },
        "ping_interval": "5s",
    },
    "http_api": {"key": "theirs"},
    "channel": {
        "namespaces": [
            {"name": "chat", "allow_subscribe_for_client": True, **KEPT},
            {"name": "limited", "allow_user_limited_channels": True, **KEPT},
            {"name": "user"},
        ]
    },
}


class Client:
    """A connection without a socket."""

    def __init__(self, realtime: Hub) -> None:
        self.queue = Queue(JSON, 1 << 20, lambda: None)
        self.connection = realtime.open(self.queue, JSON)
        self.replies: list[Any] = []

    async def send(self, *commands: object) -> None:
        await self.connection.receive(b"\n".join(map(msgspec.json.encode, commands)))

    async def ask(self, **request: object) -> Any:
        number = len(self.replies) + 1
        await self.send({"id": number, **request})
        await until(lambda: self._taken(number))
        return self.replies[number - 1]

    def _taken(self, number: int) -> bool:
        while frame := self.queue.take():
            self.replies += map(json.loads, frame.splitlines())
        return len(self.replies) >= number


@asynccontextmanager
async def connected(hub: Running, token: str, **request: object) -> AsyncGenerator[Client]:
    client = Client(hub.app.state.realtime)
    await client.ask(connect={"token": token, **request})
    yield client
    client.connection.lost()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Realtime]:
    def write(content: Any) -> Realtime:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(content))
        return Realtime(api_keys="ours", config_path=str(path))

    return write


@pytest.fixture
async def hub(start_app: Start, app_settings: Settings, write: Any) -> Running:
    return await start_app(replace(app_settings, realtime=write(ADDED)))


def test_without_a_file_there_is_only_the_product():
    rules = configured(Realtime(api_keys="a,b"))
    assert (rules.namespaces, rules.grammar, rules.api_keys) == (NAMESPACES, DEFAULT, ("a", "b"))
    assert rules.connections is rules.subscriptions is None


def test_the_files_namespaces_and_keys_stand_beside_the_products(write: Any):
    rules = configured(write(ADDED))
    assert set(rules.namespaces) == {*NAMESPACES, "", "chat", "limited", "user"}
    assert rules.namespaces["taps"] is NAMESPACES["taps"]
    assert rules.api_keys == ("ours", "theirs")
    assert rules.grammar == Grammar(
        subscribe_to_user_personal_channel=True, personal_channel_namespace="user"
    )


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"channel": {"namespaces": [{"name": "taps"}]}}, "'taps'"),
        ({"channel": {"namespace_boundary": "/"}}, "channel.namespace_boundary"),
        ({"client": {"insecure": True}}, "client.insecure"),
        ({"http_api": {"insecure": True}}, "http_api.insecure"),
        (
            {"client": {"allow_anonymous_connect_without_token": True}},
            "client.allow_anonymous_connect_without_token",
        ),
        ({"client": {"token": {"rsa_public_key": "x"}}}, "client.token"),
    ],
)
def test_what_would_change_the_product_refuses_to_start(write: Any, content: Any, names: str):
    with pytest.raises(ConfigError) as refusal:
        configured(write(content))
    assert names in str(refusal.value)


async def test_both_kinds_of_users_connect(hub: Running, ada: User):
    realtime: Hub = hub.app.state.realtime
    request = ConnectionRequest(client_id="c")
    verify = realtime.application.verify_connection
    own = await verify(ada.client.headers["authorization"].partition(" ")[2], request)
    assert (own.user, bool(own.session_id)) == (str(ada.id), True)
    theirs = await verify(signed({"sub": "bob"}), request)
    assert (theirs.user, theirs.session_id) == ("bob", "")
    assert realtime.namespace_of("chat:1") is not None
    for token in ("", "nonsense", signed({"sub": "bob", "channel": "chat:1"})):
        with pytest.raises(TokenInvalidError):
            await verify(token, request)
    with pytest.raises(TokenExpiredError):
        await verify(signed({"sub": "bob", "exp": 1}), request)


async def test_tokens_for_channels_are_the_files(hub: Running):
    realtime: Hub = hub.app.state.realtime
    claims = await realtime.application.verify_subscription(
        signed({"sub": "bob", "channel": "$chat:1"})
    )
    assert (claims.user, claims.channel) == ("bob", "$chat:1")


async def test_who_is_not_signed_in_calls_no_procedures(hub: Running, ada: User):
    realtime: Hub = hub.app.state.realtime
    for user in ("bob", str(ada.id)):
        claims = await realtime.application.verify_connection(
            signed({"sub": user}), ConnectionRequest(client_id="c")
        )
        for handler in realtime.application.rpc.values():
            with pytest.raises(ClientError, match="permission denied"):
                await handler(claims, Raw(b"{}"))


async def test_no_token_of_the_file_opens_a_channel_of_the_product(
    hub: Running, ada: User, grace: User
):
    answer = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    conversation = f"conversation:{answer.json()['id']}"
    taps, user = f"taps:{ada.id}", str(ada.id)
    async with connected(hub, signed({"sub": user}), subs={taps: {}, "chat:1": {}}) as client:
        assert list(client.replies[0]["connect"]["subs"]) == [f"user:#{user}", "chat:1"]
        for channel in (taps, conversation, f"messages:{user}", f"${taps}"):
            token = signed({"sub": user, "channel": channel})
            for fields in ({}, {"token": token}):
                reply = await client.ask(subscribe={"channel": channel, **fields})
                assert reply["error"]["code"] == 103
            for request in ("history", "presence", "publish"):
                reply = await client.ask(**{request: {"channel": channel, "data": 1}})
                assert reply["error"]["code"] in (103, 108)
        reply = await client.ask(subscribe={"channel": "chat:2"})
        assert "subscribe" in reply
    for named in ({"channels": [taps]}, {"subs": {conversation: {}}}):
        async with connected(hub, signed({"sub": user, **named})) as client:
            assert client.replies[0]["error"]["code"] == 103


async def test_a_member_who_signed_in_joins_the_conversation(hub: Running, ada: User, grace: User):
    answer = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    conversation = f"conversation:{answer.json()['id']}"
    access = ada.client.headers["authorization"].partition(" ")[2]
    async with connected(hub, access) as client:
        taps, messages = f"taps:{ada.id}", f"messages:{ada.id}"
        assert {taps, messages} < client.replies[0]["connect"]["subs"].keys()
        assert "subscribe" in await client.ask(subscribe={"channel": conversation})
        await client.send({"id": 99, "refresh": {"token": signed({"sub": str(ada.id)})}})
        await until(lambda: client.queue.closing)
        assert client.queue.closing == codes.CLOSE_INVALID_TOKEN


async def test_the_diagnosis_tells_nothing_of_channels_that_one_may_not_join(
    hub: Running, ada: User
):
    realtime: Hub = hub.app.state.realtime
    for channel, may in (
        ("chat:1", True),
        ("$chat:1", False),
        ("user:#bob", False),
        (f"limited:#{ada.id}", True),
        ("limited:#bob", False),
        ("chat:\u202e", False),
    ):
        await realtime.broker.publish(
            PublishRequest(channel=channel, data=b"1", history=HistoryOptions(1, 60))
        )
        answer = await ada.client.get("/v1/realtime/diagnose", params={"channel": channel})
        [shown] = [item for item in answer.json()["channels"] if item["channel"] == channel]
        assert shown["may_subscribe"] == may
        assert (shown["offset"] is not None) == may


async def test_the_files_key_opens_the_server_api(hub: Running):
    for key, status in (("ours", 200), ("theirs", 200), ("", 401), ("others", 401)):
        async with hub.client(**{"x-api-key": key}) as client:
            answer = await client.post("/api/publish", json={"channel": "chat:1", "data": 1})
            assert answer.status_code == status


async def test_without_a_file_configured_tokens_are_worth_nothing(
    start_app: Start, app_settings: Settings
):
    hub: Hub = (await start_app(app_settings)).app.state.realtime
    with pytest.raises(TokenInvalidError):
        await hub.application.verify_connection(
            signed({"sub": "bob"}), ConnectionRequest(client_id="c")
        )
    with pytest.raises(TokenInvalidError):
        await hub.application.verify_subscription(signed({"sub": "bob", "channel": "a"}))
