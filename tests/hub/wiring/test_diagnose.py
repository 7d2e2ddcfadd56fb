"""GET /v1/realtime/diagnose: why a user receives nothing, over everything that the hub knows."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from core.ids import new_id
from hub.realtime.broker import PublishRequest
from hub.wiring.channels import NAMESPACES, history_of
from hub.wiring.diagnose import diagnose_procedure
from tests.fixtures.app import Running, User

PATH = "/v1/realtime/diagnose"


async def diagnose(user: User, **params: str) -> Any:
    answer = await user.client.get(PATH, params=params)
    assert answer.status_code == 200
    return answer.json()


def codes_of(diagnosis: Any) -> set[str]:
    return {item["code"] for item in diagnosis["findings"]}


def personal_channels(user: User) -> list[str]:
    """Return the channels that the server subscribes a user to."""
    return [f"{name}:{user.id}" for name, kind in NAMESPACES.items() if kind.personal]


async def publish(hub: Running, channel: str) -> None:
    """Publish as the relay does."""
    data = b'{"type":"x","occurred_at":"2026-01-02T00:00:00Z"}'
    await hub.app.state.realtime.broker.publish(
        PublishRequest(channel=channel, data=data, history=history_of(channel))
    )


async def test_who_is_not_connected_is_told_so(ada: User) -> None:
    found = await diagnose(ada)
    assert codes_of(found) == {"no_connection", "never_published"}
    assert found["findings"][0]["code"] == "no_connection"
    assert [item["channel"] for item in found["channels"]] == personal_channels(ada)
    assert found["connections"] == found["silent_processes"] == []
    assert found["redis"]["is_healthy"]


async def test_a_connection_shows_its_subscriptions_beside_their_streams(
    hub: Running, ada: User, phone_of: Callable[..., Any]
) -> None:
    phone = await phone_of(ada)
    for channel in personal_channels(ada):
        await publish(hub, channel)
    async with asyncio.timeout(10):
        while (found := await diagnose(ada))["findings"]:
            assert codes_of(found) == {"behind"}  # the moment before it arrives
    [connection] = found["connections"]
    assert connection["client"] == phone.connection.session.client_id
    assert (connection["transport"], connection["format"]) == ("websocket", "json")
    assert connection["process"] == hub.app.state.realtime.node_id
    subscribed = {item["channel"]: item for item in connection["subscriptions"]}
    taps = subscribed[f"taps:{ada.id}"]
    stream = found["channels"][0]
    assert (taps["by_server"], taps["epoch"]) == (True, stream["epoch"])
    assert (stream["offset"], stream["last_publication_at"]) == (1, "2026-01-02T00:00:00Z")


async def test_refusals_are_shown_with_channel_and_code(
    ada: User, phone_of: Callable[..., Any]
) -> None:
    phone = await phone_of(ada)
    channel = f"conversation:{new_id()}"
    assert (await phone.ask(subscribe={"channel": channel}))["error"]["code"] == 103
    found = await diagnose(ada)
    assert found["findings"][-1] == {
        "code": "refused",
        "detail": "The last refusal was 103 permission denied.",
        "channel": channel,
        "client": None,
    }
    [refusal] = found["refusals"]
    assert (refusal["method"], refusal["code"]) == ("subscribe", 103)


async def test_a_channel_of_others_is_named_and_nothing_of_it_shown(
    hub: Running, ada: User, grace: User, phone_of: Callable[..., Any]
) -> None:
    await phone_of(ada)
    await publish(hub, f"taps:{grace.id}")
    for channel, exists, code in [
        (f"taps:{grace.id}", True, "not_allowed"),
        (f"conversation:{new_id()}", True, "not_allowed"),
        ("nowhere:x", False, "unknown_channel"),
    ]:
        found = await diagnose(ada, channel=channel)
        assert found["findings"][0]["code"] == code
        assert found["channels"][-1] == {
            "channel": channel,
            "exists": exists,
            "may_subscribe": False,
            "offset": None,
            "epoch": None,
            "last_publication_at": None,
        }


async def test_a_channel_that_one_could_have_is_named_as_missing(
    ada: User, grace: User, phone_of: Callable[..., Any]
) -> None:
    opened = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    channel = f"conversation:{opened.json()['id']}"
    phone = await phone_of(ada)
    found = await diagnose(ada, channel=channel)
    assert ("not_subscribed", channel) in {
        (item["code"], item["channel"]) for item in found["findings"]
    }
    await phone.ask(subscribe={"channel": channel})
    assert "not_subscribed" not in codes_of(await diagnose(ada, channel=channel))


async def test_one_sees_nothing_of_other_users(
    ada: User, grace: User, phone_of: Callable[..., Any]
) -> None:
    await phone_of(grace)
    assert (await diagnose(ada))["connections"] == []


async def test_nobody_is_diagnosed_without_a_token(anonymous: Any) -> None:
    answer = await anonymous.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


async def test_application_servers_ask_for_any_user(
    hub: Running, ada: User, phone_of: Callable[..., Any]
) -> None:
    await phone_of(ada)
    procedure = diagnose_procedure(hub.app.state.realtime)
    answer = msgspec.json.decode(
        await procedure(msgspec.Raw(b'{"user":"%b"}' % str(ada.id).encode()))
    )
    assert len(answer["connections"]) == 1
