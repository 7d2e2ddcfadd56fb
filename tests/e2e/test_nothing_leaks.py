"""A driven system says nothing of its people and gives no secret away: logs, metrics, files, ps."""

import asyncio
import base64
import json
import stat
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cbor2
import httpx
import paho.mqtt.client as paho
import pytest
import websockets
from paho.mqtt.enums import CallbackAPIVersion

from core import edge
from core.ids import new_id
from hub.processes import leftovers
from tests.e2e.planting import CONTROL, Planted, forms_of, places, plant
from tests.fixtures.patient import async_client
from tests.fixtures.stack import PROCESSES, SERVICES, Stack
from tests.fixtures.waiting import wait_until

CANARY = "canary"
"""Begins every word that a user or an attacker sends and no log may repeat."""


class Driven:
    """What was sent and received, to be looked for afterwards."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.answers: list[str] = []


@pytest.fixture(scope="module")
def driven(stack: Stack) -> Driven:
    """Use every part with telling words, in good requests and bad ones."""
    seen = asyncio.run(drive(stack))
    use_mqtt(stack)
    stack.press(stack.rings[0]["device_id"])
    wait_until(lambda: "tap_refused" in stack.log("ingest"), "the refusal of a forged tap")
    return seen


@pytest.fixture(scope="module")
def planted(stack: Stack) -> Planted:
    """Put two hundred secrets into the system."""
    return asyncio.run(plant(stack))


async def drive(stack: Stack) -> Driven:
    seen = Driven()
    async with async_client(stack.url) as client:
        users = (await client.get("/v1/auth/development/users")).json()["items"]
        seen.words |= {user["full_name"] for user in users}
        signed_in = [await sign_in(client, user["id"]) for user in users[:2]]
        for answer in signed_in:
            seen.words |= {answer["access_token"], answer["refresh_token"]}
        headers = {"Authorization": f"Bearer {signed_in[0]['access_token']}"}
        await use_rest(client, headers, users[1]["id"], seen)
        await misuse_rest(client, headers, signed_in[0]["refresh_token"], seen)
        ring = stack.rings[0]
        await client.get("/t", params={"picc_data": f"{CANARY}-picc", "cmac": f"{CANARY}-cmac"})
        seen.words |= {ring["tap_key"], ring["sun_meta_key"], ring["sun_file_key"]}
    await use_websocket(stack, signed_in[0]["access_token"], users[1]["id"])
    return seen


async def sign_in(client: httpx.AsyncClient, user_id: str) -> dict[str, Any]:
    answer = await client.post("/v1/auth/development/sign-in", json={"user_id": user_id})
    return answer.json()


async def use_rest(
    client: httpx.AsyncClient, headers: dict[str, str], partner_id: str, seen: Driven
) -> None:
    me = (await client.get("/v1/me", headers=headers)).json()
    seen.words.add(me["email"])
    await client.patch(
        "/v1/me",
        headers=headers,
        json={"bio": f"{CANARY}-bio", "display_name": f"{CANARY}-display"},
    )
    opened = await client.post(
        "/v1/conversations", headers=headers, json={"partner_id": partner_id}
    )
    messages = f"/v1/conversations/{opened.json()['id']}/messages"
    for body in (f"{CANARY}-body", f"{CANARY}-body", f"{CANARY}-other"):
        # The second is a replay, the third a refused one.
        await client.post(
            messages,
            headers={**headers, "Idempotency-Key": f"{CANARY}-idempotency"},
            json={"body": body, "client_key": f"{CANARY}-client-key"},
        )
    ring = (await client.get("/v1/rings", headers=headers)).json()["items"][0]
    label = {"label": f"{CANARY}-label"}
    assert (
        await client.patch(f"/v1/rings/{ring['id']}", headers=headers, json=label)
    ).status_code == 200


async def misuse_rest(
    client: httpx.AsyncClient, headers: dict[str, str], refresh_token: str, seen: Driven
) -> None:
    keyed = {"Content-Type": "application/json", **headers}
    for method, path, options in [
        ("GET", f"/v1/{CANARY}-path", {}),
        ("GET", f"/v1/rings?cursor={CANARY}-cursor&limit={CANARY}-limit", {"headers": headers}),
        ("GET", "/v1/me", {"headers": {"Authorization": f"Bearer {CANARY}-token"}}),
        ("GET", "/v1/me", {"headers": {"Authorization": f"Basic {CANARY}-basic"}}),
        ("GET", "/v1/me", {"headers": {"Cookie": f"ping_tap={CANARY}-cookie"}}),
        ("GET", "/livez", {"headers": {"User-Agent": f"{CANARY}-agent"}}),
        (f"{CANARY}-method".upper(), "/v1/me", {}),
        ("PATCH", "/v1/me", {"headers": keyed, "content": f'{{"bio":"{CANARY}-broken'}),
        ("PATCH", "/v1/me", {"headers": keyed, "json": {f"{CANARY}-field": 1}}),
        ("PATCH", "/v1/me", {"headers": keyed, "json": {"timezone": f"{CANARY}-zone"}}),
        ("PATCH", "/v1/me", {"headers": keyed, "content": b'{"bio":"%b\xff"}' % CANARY.encode()}),
        ("POST", "/v1/ring-claims", {"headers": headers, "json": {"claim_code": f"{CANARY}-code"}}),
        ("POST", f"/api/{CANARY}-method", {"headers": {"X-API-Key": f"{CANARY}-api-key"}}),
        ("POST", "/api/tail", {"json": {"channel": f"{CANARY}-tail"}}),
        ("GET", f"/connection/sse?cf_connect={CANARY}-sse", {}),
        ("POST", "/connection/http_stream", {"content": f"{CANARY}-stream"}),
        ("POST", "/emulation", {"json": {"session": f"{CANARY}-session", "data": CANARY}}),
        ("GET", "/connection/websocket", {"headers": {"Origin": f"https://{CANARY}.example"}}),
        ("POST", "/v1/auth/refresh", {"json": {"refresh_token": f"{CANARY}-refresh-token"}}),
        ("POST", "/v1/auth/refresh", {"json": {"refresh_token": refresh_token}}),
        ("POST", "/v1/auth/refresh", {"json": {"refresh_token": refresh_token}}),
    ]:
        answer = await client.request(method, path, **options)
        seen.answers.append(answer.text)
        assert answer.status_code < 500


async def use_websocket(stack: Stack, token: str, other: str) -> None:
    url = stack.url.replace("http:", "ws:") + f"/connection/websocket?token={CANARY}-in-url"
    connect = json.dumps({"id": 1, "connect": {"token": token, "name": f"{CANARY}"}})
    for frames in (
        [connect, json.dumps({"id": 2, "subscribe": {"channel": f"taps:{other}"}})],
        [connect, json.dumps({"id": 2, "rpc": {"method": f"{CANARY}-rpc", "data": CANARY}})],
        [connect, f'{{"id":2,"{CANARY}-frame'],
        [json.dumps({"id": 1, "connect": {"token": f"{CANARY}-websocket-token"}})],
    ):
        async with websockets.connect(url) as socket:
            for frame in frames:
                await socket.send(frame)
                try:
                    async with asyncio.timeout(5):
                        await socket.recv()
                except websockets.ConnectionClosed:
                    break


def use_mqtt(stack: Stack) -> None:
    """Forge a tap as the gateway, and sign in with a wrong password."""
    gateway = stack.settings.gateway
    address = urlsplit(gateway.mqtt_url)
    ring = bytes.fromhex(stack.rings[0]["device_id"])
    for password in (address.password, f"{CANARY}-password"):
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=str(new_id()))
        client.username_pw_set(address.username, password)
        client.connect(address.hostname or "", address.port or 0)
        client.loop_start()
        event = {"v": 1, "ring": ring, "boot": 1, "seq": 1, "raw": f"{CANARY}-raw".encode()}
        told = client.publish(edge.tap_topic(gateway.id, ring), cbor2.dumps(event), qos=1)
        if password == address.password:
            told.wait_for_publish(5)
        client.disconnect()
        client.loop_stop()


def secrets_of(stack: Stack) -> set[str]:
    """Return every generated password and key."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                collect(inner)
        elif isinstance(value, str):
            found.add(value)

    generated = tomllib.loads((stack.home / "secrets.toml").read_text())
    collect(generated["keys"])
    collect(generated["logins"])
    collect(generated["realtime"])
    collect(json.loads((stack.home / "mqtt" / "logins.json").read_text()))
    for name in ("postgres/superuser.password", "redis/password"):
        found.add((stack.home / name).read_text().strip())
    key = (stack.home / "signing-keys.pem").read_text().splitlines()[1]
    return {*found, key, generated["keys"]["field_keys"].split(":")[1]}


def logs_of(stack: Stack) -> dict[Path, str]:
    paths = [*stack.home.glob("logs/*.log"), *stack.home.glob("*/server.log")]
    return {path: path.read_text(errors="replace") for path in paths}


def leaks(text: str, words: set[str]) -> set[str]:
    folded = text.casefold()
    return {word for word in words if word and word.casefold() in folded}


def test_the_search_would_find_something(stack: Stack, driven: Driven):
    assert len(logs_of(stack)) >= 10
    assert all(len(word) >= 6 for word in driven.words | secrets_of(stack))
    assert leaks(f"one {CANARY.upper()}-body two", {CANARY}) == {CANARY}
    assert '"request_finished"' in stack.log("serve")
    for before in (b"", b"a", b"bc"):
        hidden = base64.b64encode(before + CANARY.encode() + b"-secret")
        assert any(form in hidden for form in forms_of(f"{CANARY}-secret"))


def test_no_log_names_people_their_words_or_their_secrets(stack: Stack, driven: Driven):
    words = driven.words | secrets_of(stack) | {CANARY, "@example."}
    assert {
        path.name: found for path, text in logs_of(stack).items() if (found := leaks(text, words))
    } == {}


@pytest.mark.req("SEC-01")
def test_two_hundred_planted_secrets_lie_nowhere(stack: Stack, driven: Driven, planted: Planted):
    assert len(planted.secrets) >= 200
    found = places(stack, planted)
    # The search would find what is not sealed.
    for place in ("dump", "wal"):
        assert CONTROL.encode() in found[place], place
    assert sum(name.startswith("redis ") for name in found) > 3
    assert [
        (place, form)
        for place, content in found.items()
        for form in planted.wanted()
        if form in content
    ] == []


def test_no_crash_was_logged(stack: Stack, driven: Driven, planted: Planted):
    del driven, planted
    for path, text in logs_of(stack).items():
        assert not leaks(text, {"Traceback (most recent", "request_crashed", "command_failed"}), (
            path
        )


def test_metrics_name_nobody_and_stay_few(stack: Stack, driven: Driven):
    text = httpx.get(f"{stack.url}/metrics").text
    words = driven.words | secrets_of(stack) | {CANARY}
    assert leaks(text, words) == set()
    series = [line.partition("{")[0] for line in text.splitlines() if "{" in line]
    assert max(series.count(name) for name in set(series)) <= 1000


def test_refusals_repeat_no_secret(stack: Stack, driven: Driven):
    words = {f"{CANARY}-token", f"{CANARY}-basic", f"{CANARY}-cookie", f"{CANARY}-refresh-token"}
    words |= secrets_of(stack) | {f"{CANARY}-code"}
    assert [found for text in driven.answers if (found := leaks(text, words))] == []


def test_command_lines_show_no_secret(stack: Stack, driven: Driven):
    words = driven.words | secrets_of(stack)
    pids = [*leftovers.find(stack.home), *(stack.pid(name) for name in SERVICES)]
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    assert len(lines) >= len(PROCESSES)
    assert [found for line in lines if (found := leaks(line, words))] == []


def test_files_are_their_owners_alone(stack: Stack, driven: Driven):
    del driven
    shared = stat.S_IRWXG | stat.S_IRWXO
    assert [
        str(path.relative_to(stack.home))
        for path in (stack.home, *stack.home.rglob("*"))
        if not path.is_symlink() and path.exists() and path.stat().st_mode & shared
    ] == []
