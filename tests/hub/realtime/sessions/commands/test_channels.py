"""Publishing, history and presence: who may, what is asked, what is answered."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from hub.realtime.presence import PresenceStats
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.sessions.commands import channels
from hub.realtime.sessions.effects import CountPresence, PublishData, ReadHistory, ReadPresence
from hub.realtime.tokens.claims import ConnectClaims
from tests.hub.realtime.sessions.house import (
    ANN,
    NOBODY,
    RULES,
    answers,
    command,
    connected,
    subscribed,
)

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("publish", {"data": 1}),
    ("history", {}),
    ("presence", {}),
    ("presence_stats", {}),
]


@pytest.mark.parametrize(("method", "fields"), REQUESTS)
@pytest.mark.parametrize(
    ("claims", "channel", "allowed"),
    [
        (ANN, "free:a", True),
        (NOBODY, "free:a", True),
        (ANN, "user:a", True),
        (NOBODY, "user:a", False),
    ],
)
def test_a_namespace_decides_what_users_and_anonymous_clients_may_do(
    method: str, fields: dict[str, Any], claims: ConnectClaims, channel: str, allowed: bool
):
    session = connected(claims)
    effects = session.receive(command(2, **{method: {"channel": channel, **fields}}), 0.0)
    if allowed:
        (asked,) = effects
        assert isinstance(asked, PublishData | ReadHistory | ReadPresence | CountPresence)
    else:
        assert answers(effects)[0]["error"]["code"] == 103


@pytest.mark.parametrize(("method", "fields"), REQUESTS)
def test_an_insecure_hub_asks_nobody_for_permission(method: str, fields: dict[str, Any]):
    insecure = structs.replace(RULES, insecure=True)
    session = connected(NOBODY, insecure)
    (asked,) = session.receive(command(2, **{method: {"channel": "shut:a", **fields}}), 0.0)
    assert isinstance(asked, PublishData | ReadHistory | ReadPresence | CountPresence)


def test_a_publication_tells_who_its_author_is_to_the_channel():
    claims = ConnectClaims(user="ann", info=Raw(b'{"name":"Ann"}'))
    session = subscribed("open:a", claims)
    (asked,) = session.receive(command(3, publish={"channel": "open:a", "data": {"n": 1}}), 0.0)
    assert isinstance(asked, PublishData)
    assert json.loads(asked.info) == {
        "user": "ann",
        "client": "client-1",
        "conn_info": {"name": "Ann"},
    }


def test_presence_is_answered_with_every_client_also_when_nobody_is_there():
    session = subscribed("open:a")
    session.receive(command(3, presence={"channel": "open:a"}), 0.0)
    found = {"c": ClientInfo(user="bob", client="c", chan_info=Raw(b"1"))}
    assert answers(channels.presence_read(session, found)) == [
        {"id": 3, "presence": {"presence": {"c": {"user": "bob", "client": "c", "chan_info": 1}}}}
    ]
    session.receive(command(4, presence={"channel": "open:a"}), 0.0)
    assert answers(channels.presence_read(session, {})) == [{"id": 4, "presence": {"presence": {}}}]


def test_presence_is_counted_also_down_to_zero():
    session = subscribed("open:a")
    session.receive(command(3, presence_stats={"channel": "open:a"}), 0.0)
    assert answers(channels.presence_counted(session, PresenceStats())) == [
        {"id": 3, "presence_stats": {"num_clients": 0, "num_users": 0}}
    ]


@pytest.mark.parametrize(("method", "fields"), REQUESTS)
def test_a_name_that_is_too_long_to_subscribe_is_too_long_for_anything(
    method: str, fields: dict[str, Any]
):
    session = connected()
    (reply,) = answers(
        session.receive(command(2, **{method: {"channel": "free:" + "a" * 16, **fields}}), 0.0)
    )
    assert reply["error"]["code"] == 107
