"""What happens between people arrives on a phone's own socket, through relay and workers."""

import json
import time
from collections import defaultdict
from typing import Any

import httpx
import pytest
import websockets.sync.client

from tests.fixtures.app import idempotency_key
from tests.fixtures.stack import Stack

DEADLINE_SECONDS = 40.0
EXPECTED = {
    "taps": {"ring.tapped"},
    "messages": {"message.sent"},
    "health": {"health.changed"},
    "insights": {"insight.created"},
    "achievements": {"achievement.unlocked"},
    "notifications": {"goal.set", "goal.achieved"},
    "sync": {"contact.created"},
}


def sign_in(client: httpx.Client, name: str) -> tuple[str, str]:
    users = client.get("/v1/auth/development/users").json()["items"]
    user = next(user["id"] for user in users if user["full_name"] == name)
    answer = client.post("/v1/auth/development/sign-in", json={"user_id": user}).json()
    client.headers["authorization"] = f"Bearer {answer['access_token']}"
    return user, answer["access_token"]


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    return answer.json()


def live(client: httpx.Client) -> str:
    """Do one thing of each kind; return the contact that it is about."""
    contact = made(
        client.post("/v1/contacts", json={"full_name": "Betty Holberton", "job_title": "Sorter"})
    )["id"]
    # Two: what is achieved before anybody has looked at it needs no help.
    goals = [
        made(client.post("/v1/goals", json={"kind": "mentor", "intention": wanted}))["id"]
        for wanted in ("Meet a sorter", "Sit down")
    ]
    made(client.patch(f"/v1/goals/{goals[1]}", json={"status": "achieved"}))
    made(client.post("/v1/interactions", json={"contact_id": contact, "kind": "call"}))
    ring = made(client.get("/v1/rings"))["items"][0]["id"]
    made(client.post(f"/v1/development/rings/{ring}/tap"))
    users = made(client.get("/v1/auth/development/users"))["items"]
    other = next(user["id"] for user in users if user["full_name"] == "Ada Lovelace")
    talk = made(client.post("/v1/conversations", json={"partner_id": other}))["id"]
    words = client.post(
        f"/v1/conversations/{talk}/messages", json={"body": "Done!"}, headers=idempotency_key()
    )
    made(words)
    return contact


@pytest.mark.req("RTM-01", "RTM-02", "RTM-03", "RTM-04", "RTM-05")
def test_every_channel_of_a_phone_carries_what_really_happened(stack: Stack) -> None:
    url = stack.url.replace("http", "ws", 1) + "/connection/websocket"
    heard: dict[str, dict[str, Any]] = defaultdict(dict)
    with (
        httpx.Client(base_url=stack.url, timeout=20) as client,
        websockets.sync.client.connect(url) as socket,
    ):
        user, token = sign_in(client, "Grace Hopper")
        socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
        connected = json.loads(str(socket.recv(DEADLINE_SECONDS)).splitlines()[0])["connect"]
        assert connected["subs"].keys() >= {f"{channel}:{user}" for channel in EXPECTED}
        contact = live(client)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while missing := {
            (channel, kind)
            for channel, kinds in EXPECTED.items()
            for kind in kinds - heard[channel].keys()
        }:
            try:
                text = str(socket.recv(deadline - time.monotonic()))
            except TimeoutError:
                pytest.fail(f"not heard: {missing}")
            for line in text.splitlines():
                if line == "{}":  # a ping
                    socket.send("{}")
                    continue
                push = json.loads(line)["push"]
                channel, _, owner = push["channel"].partition(":")
                assert owner == user
                heard[channel][push["pub"]["data"]["type"]] = push["pub"]["data"]["data"]
    unlocked = heard["achievements"]["achievement.unlocked"]
    assert unlocked["code"] in {"first_goal", "first_tap", "first_message"}
    assert heard["insights"]["insight.created"]["title"] == "Betty Holberton could help with a goal"
    assert heard["health"]["health.changed"]["contact_id"] == contact
