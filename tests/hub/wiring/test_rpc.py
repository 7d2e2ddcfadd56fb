"""Remote procedures: what REST does, over a socket, under the same policies."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from msgspec import Raw
from structlog.testing import capture_logs

from core.db import Pool
from core.errors import DomainError
from hub.realtime import codes
from hub.realtime.application import ClientError
from hub.realtime.tokens.claims import ConnectClaims
from hub.wiring import rpc
from tests.fixtures.app import Running, User, count_rows, idempotency_key
from tests.fixtures.touching import Meetings, Wearer

Call = Callable[..., Awaitable[Any]]
# Fixed: the names of tests must be the same in every process that runs them.
SOME_ID = b"9e071eda-e2f3-4a7a-8d19-c845c1fe3451"


@pytest.fixture
def call(hub: Running) -> Call:
    """Call a procedure as a user; return its answer or the error."""
    handlers = rpc.rpc_handlers(hub.resources)

    async def call(user: User, method: str, **data: Any) -> Any:
        claims = ConnectClaims(user=str(user.id), session_id=str(uuid4()))
        try:
            answer = await handlers[method](claims, Raw(msgspec.json.encode(data)))
        except ClientError as refusal:
            return refusal.error
        return msgspec.json.decode(answer)

    return call


@pytest.fixture
async def conversation(ada: User, grace: User) -> str:
    answer = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    return answer.json()["id"]


async def test_a_message_is_sent_once_however_often_it_is_called(
    call: Call, ada: User, conversation: str, system_pool: Pool
) -> None:
    params = {"conversation_id": conversation, "body": "Hello", "idempotency_key": "k-1"}
    first = await call(ada, "messages.send", **params)
    assert (first["body"], first["sender_id"]) == ("Hello", str(ada.id))
    assert await call(ada, "messages.send", **params) == first
    other = await call(ada, "messages.send", **params | {"body": "Bye"})
    assert other == codes.Error(422, "idempotency.mismatch")
    assert await count_rows(system_pool, "messages") == 1


async def test_20_calls_at_once_send_one_message(
    call: Call, ada: User, conversation: str, system_pool: Pool
) -> None:
    params = {"conversation_id": conversation, "body": "Once", "idempotency_key": "k-1"}
    answers = await asyncio.gather(*(call(ada, "messages.send", **params) for _ in range(20)))
    assert await count_rows(system_pool, "messages") == 1
    refused = [item for item in answers if isinstance(item, codes.Error)]
    assert set(refused) <= {codes.Error(409, "idempotency.in_flight", temporary=True)}


async def test_a_key_of_rest_is_not_a_key_of_calls(
    call: Call, ada: User, conversation: str
) -> None:
    await ada.client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"body": "Hello"},
        headers={"Idempotency-Key": "k-1"},
    )
    params = {"conversation_id": conversation, "body": "Hello", "idempotency_key": "k-1"}
    assert (await call(ada, "messages.send", **params)).message == "idempotency.mismatch"


async def test_lists_are_those_of_rest(
    call: Call, ada: User, grace: User, conversation: str, give_ring: Callable[..., Any]
) -> None:
    await give_ring(ada)
    for number in range(3):
        await ada.client.post(
            f"/v1/conversations/{conversation}/messages",
            json={"body": f"Number {number}"},
            headers=idempotency_key(),
        )
    for method, path in [
        ("conversations.list", "/v1/conversations"),
        ("rings.list", "/v1/rings"),
        ("touches.list", "/v1/touches"),
        ("me.get", "/v1/me"),
    ]:
        assert await call(ada, method) == (await ada.client.get(path)).json()
    path = f"/v1/conversations/{conversation}/messages"
    first = await call(grace, "messages.list", conversation_id=conversation, limit=2)
    assert first == (await grace.client.get(path, params={"limit": 2})).json()
    cursor = first["next_cursor"]
    rest = await call(grace, "messages.list", conversation_id=conversation, cursor=cursor)
    assert [item["body"] for item in rest["items"]] == ["Number 0"]


async def test_a_phone_calls_over_its_connection(
    ada: User, conversation: str, phone_of: Callable[..., Any], system_pool: Pool
) -> None:
    phone = await phone_of(ada)
    params = {"conversation_id": conversation, "body": "Hello", "idempotency_key": "k-1"}
    sent = await phone.ask(rpc={"method": "messages.send", "data": params})
    assert sent["rpc"]["data"]["body"] == "Hello"
    assert await count_rows(system_pool, "messages") == 1
    missing = {"conversation_id": str(uuid4())}
    refused = await phone.ask(rpc={"method": "messages.list", "data": missing})
    assert refused["error"] == {"code": 404, "message": "conversation.not_found"}
    for method, code in [("me.get", 107), ("nobody.knows", 104)]:
        refused = await phone.ask(rpc={"method": method, "data": {"x": 1}})
        assert refused["error"]["code"] == code


@pytest.mark.req("RTM-09")
async def test_what_policies_hide_from_rest_they_hide_here(
    call: Call, new_user: Callable[[str], Awaitable[User]], conversation: str, system_pool: Pool
) -> None:
    eve = await new_user("Eve")
    not_found = codes.Error(404, "conversation.not_found")
    assert await call(eve, "messages.list", conversation_id=conversation) == not_found
    params = {"conversation_id": conversation, "body": "Hi", "idempotency_key": "k"}
    assert await call(eve, "messages.send", **params) == not_found
    assert (await call(eve, "conversations.list"))["items"] == []
    assert await count_rows(system_pool, "messages") == 0


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("me.get", b'{"more":1}'),
        ("me.get", b"[]"),
        ("me.get", b"{"),
        ("me.get", b"[" * 100_000),
        ("rings.list", b'{"limit":0}'),
        ("rings.list", b'{"limit":201}'),
        ("messages.list", b"{}"),
        ("messages.list", b'{"conversation_id":"7"}'),
        ("messages.send", b'{"conversation_id":"%b","body":"x"}' % SOME_ID),
        (
            "messages.send",
            b'{"conversation_id":"%b","body":" ","idempotency_key":"k"}' % SOME_ID,
        ),
        (
            "messages.send",
            b'{"conversation_id":"%b","body":"x","idempotency_key":""}' % SOME_ID,
        ),
    ],
)
async def test_wrong_parameters_are_a_bad_request(
    hub: Running, ada: User, method: str, data: bytes
) -> None:
    handler = rpc.rpc_handlers(hub.resources)[method]
    with pytest.raises(ClientError) as refused:
        await handler(ConnectClaims(user=str(ada.id)), Raw(data))
    assert refused.value.error is codes.BAD_REQUEST


async def test_a_wrong_cursor_is_told_by_its_code(call: Call, ada: User) -> None:
    assert await call(ada, "rings.list", cursor="!") == codes.Error(400, "request.cursor_invalid")


async def test_calls_count_with_requests(call: Call, ada: User) -> None:
    for _ in range(650):
        last = await call(ada, "rings.list", limit=1)
    assert last is codes.TOO_MANY_REQUESTS
    assert (await ada.client.get("/v1/me")).status_code == 429


def test_each_refusal_of_the_catalogue_becomes_an_error_of_the_protocol() -> None:
    for code, error in [
        ("service.unavailable", codes.Error(503, "service.unavailable", temporary=True)),
        ("idempotency.in_flight", codes.Error(409, "idempotency.in_flight", temporary=True)),
        ("request.conflict", codes.Error(409, "request.conflict")),
        ("limit.exceeded", codes.TOO_MANY_REQUESTS),
    ]:
        assert rpc.client_error(DomainError(code)).error == error


def test_what_is_no_refusal_is_an_internal_error_without_its_text() -> None:
    with capture_logs() as written:
        assert rpc.client_error(ValueError("a row's secret")).error is codes.INTERNAL
    assert [entry["error_type"] for entry in written] == ["ValueError"]
    assert "secret" not in repr(written)


async def test_a_touch_is_answered_over_the_socket_as_over_rest(
    call: Call, meetings: Meetings, worn: tuple[Wearer, Wearer]
) -> None:
    one, other = worn
    await meetings.share(other.user, "always")
    for answer, then in (("confirm", "exchanged"), ("decline", "declined")):
        await meetings.meet(*meetings.touch(one, other))
        touch_id = (await meetings.touches(one.user))[0]["id"]
        said = await call(one.user, f"touches.{answer}", touch_id=touch_id)
        assert said["state"] == then
        assert said == (await one.user.client.get(f"/v1/touches/{touch_id}")).json()
    foreign = await call(other.user, "touches.confirm", touch_id=touch_id)
    assert foreign == codes.Error(404, "touch.not_found")
