"""Two accounts and every channel and procedure: a stranger joins, reads and sends nothing."""

import json
from typing import Any

import pytest

from hub.realtime.protocol.messages import METHODS
from hub.wiring.channels import NAMESPACES
from hub.wiring.rpc import PROCEDURES
from tests.fixtures.dialogue import Dialogue, command
from tests.isolation.belongings import Belongings, filled, rows

HOST = {"Host": "127.0.0.1:8000"}
DENIED, NO_PROCEDURE, UNAVAILABLE = 103, 104, 108

CHANNELS = {
    "taps": "taps:{ada}",
    "messages": "messages:{ada}",
    "health": "health:{ada}",
    "sync": "sync:{ada}",
    "insights": "insights:{ada}",
    "achievements": "achievements:{ada}",
    "notifications": "notifications:{ada}",
    "conversation": "conversation:{conversation}",
}
"""A channel of Ada's by namespace; one without a line fails the tests."""

EVERYBODYS = {"flags": "flags:all"}
"""Channels that all users may join, where only the hub publishes."""

# What a stranger is told: an error's code, or with 3000 and more that of the close.
OPERATIONS: dict[str, list[tuple[dict[str, Any], int]]] = {
    "subscribe": [
        ({}, DENIED),
        ({"recover": True, "offset": 0, "epoch": ""}, DENIED),
        ({"positioned": True, "recoverable": True, "join_leave": True}, DENIED),
        ({"token": "eyJhbGciOiJub25lIn0.e30."}, DENIED),
    ],
    "publish": [({"data": {"type": "message.sent"}}, DENIED)],
    "history": [({"limit": -1}, DENIED), ({"limit": 1, "reverse": True}, DENIED)],
    "presence": [({}, UNAVAILABLE)],
    "presence_stats": [({}, UNAVAILABLE)],
    "sub_refresh": [({"token": "x"}, DENIED)],
    "unsubscribe": [({}, 0)],
}
"""Operations on a channel by their name in the protocol."""
WITHOUT_CHANNEL = {"connect", "rpc", "send", "refresh"}

CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "messages.send": (
        {"conversation_id": "{conversation}", "body": "hello", "idempotency_key": "k"},
        "conversation.not_found",
    ),
    "messages.list": ({"conversation_id": "{conversation}"}, "conversation.not_found"),
    "conversations.list": ({}, ""),
    "rings.list": ({}, ""),
    "touches.list": ({}, ""),
    "touches.confirm": ({"touch_id": "{touch}"}, "touch.not_found"),
    "touches.decline": ({"touch_id": "{touch}"}, "touch.not_found"),
    "me.get": ({}, ""),
}
"""Procedures with what names things of Ada's, and the refusal; "": an answer without hers."""


def test_every_namespace_operation_and_procedure_is_tried() -> None:
    assert set(CHANNELS) | set(EVERYBODYS) == set(NAMESPACES)
    assert set(OPERATIONS) | WITHOUT_CHANNEL == set(METHODS)
    assert set(CALLS) == set(PROCEDURES)


async def ask(world: Belongings, who: str, *frames: str) -> Dialogue:
    token = world.askers[who].headers["authorization"].removeprefix("Bearer ")
    first = command(1, connect={"token": token})
    return await Dialogue().hold(world.hub, [first, *frames], HOST)


def told(dialogue: Dialogue) -> int:
    """Return how the second command was answered."""
    if dialogue.closed:
        return dialogue.closed
    return dialogue.replies[1].get("error", {}).get("code", 0)


def leaks(world: Belongings, dialogue: Dialogue, sent: str) -> set[str]:
    said = json.dumps(dialogue.replies)
    return {secret for secret in world.secrets if secret in said and secret not in sent}


@pytest.mark.req("RTM-09")
async def test_nobody_does_anything_on_a_channel_of_adas(world: Belongings) -> None:
    names = {**world.names, "ada": str(world.ada.id)}
    before = await rows(world.admin)
    for template in CHANNELS.values():
        channel = filled(names, template)
        for operation, requests in OPERATIONS.items():
            for request, code in requests:
                frame = command(2, **{operation: {"channel": channel, **request}})
                for who in ("stranger", "blocked", "admin", "moderator"):
                    dialogue = await ask(world, who, frame)
                    assert told(dialogue) == code, (who, channel, frame, dialogue.replies)
                    assert not leaks(world, dialogue, frame)
        frame = command(2, subscribe={"channel": channel})
        theirs = (await ask(world, "stranger", frame)).replies[1]
        nobodys = dict.fromkeys(names, "0195f1b0-0000-7000-8000-000000000000")
        frame = command(2, subscribe={"channel": filled(nobodys, template)})
        assert (await ask(world, "stranger", frame)).replies[1] == theirs, "nobody could tell"
    for channel in EVERYBODYS.values():
        frame = command(2, publish={"channel": channel, "data": {}})
        assert told(await ask(world, "stranger", frame)) == DENIED
    assert await rows(world.admin) == before
    # Or a wrong name would pass for a refusal.
    frame = command(2, subscribe={"channel": f"conversation:{world.names['conversation']}"})
    assert told(await ask(world, "friend", frame)) == 0


async def test_procedures_tell_and_change_nothing_of_adas(world: Belongings) -> None:
    before = await rows(world.admin)
    for method, (params, refusal) in CALLS.items():
        frame = command(2, rpc={"method": method, "data": filled(world.names, params)})
        dialogue = await ask(world, "stranger", frame)
        error = dialogue.replies[1].get("error", {})
        assert error.get("message", "") == refusal, (method, dialogue.replies)
        assert not leaks(world, dialogue, frame), method
    assert await rows(world.admin) == before
    for method in world.hub.app.state.realtime.procedures:
        frame = command(2, rpc={"method": method, "data": {"user": str(world.ada.id)}})
        assert told(await ask(world, "stranger", frame)) == NO_PROCEDURE, "for servers only"
