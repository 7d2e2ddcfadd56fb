"""Bad input, kind by kind: its documented code, and not a row of the database is another."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.crypto import FieldCipher, KeyRing
from core.db import Pool
from core.ids import new_id
from firmware_bridge import sun
from firmware_bridge.sun_keys import tag_keys
from hub.domains.taps import service as taps
from hub.domains.taps.mqtt import read_tap
from tests.fixtures.app import SUN_MASTER_KEY, NewRing, Running, User, idempotency_key
from tests.fixtures.dialogue import Dialogue, command
from tests.fixtures.postgres import Database
from tests.fixtures.world import FIELD_KEYS, connect, create_world

JSON = {"Content-Type": "application/json"}
Refused = tuple[int, str]


@asynccontextmanager
async def unchanged(database: Database, *, but: tuple[str, ...] = ()) -> AsyncIterator[None]:
    """Fail when a row of any table is added, gone or another at the end of the block."""
    connection = await connect(database)
    try:
        before = await contents(connection, but)
        yield
        assert await contents(connection, but) == before
    finally:
        await connection.close()


async def contents(connection: Any, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a digest of each table's rows."""
    tables = await connection.fetch(
        """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace"""
    )
    return {
        name: await connection.fetchval(
            f"SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {name} AS t"
        )
        for (name,) in tables
        if name not in but
    }


async def refused(request: Awaitable[httpx.Response]) -> Refused:
    answer = await request
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def eve(new_user: Callable[[str], Awaitable[User]]) -> User:
    return await new_user("Eve Stranger")


@pytest.fixture
async def ring(ada: User, give_ring: Callable[[User], Awaitable[NewRing]]) -> NewRing:
    return await give_ring(ada)


@pytest.fixture
async def conversation(ada: User, grace: User) -> str:
    answer = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    path = f"/v1/conversations/{answer.json()['id']}/messages"
    sent = await ada.client.post(path, json={"body": "Hello"}, headers=idempotency_key())
    assert sent.status_code == 201
    return answer.json()["id"]


async def test_a_change_would_be_seen(database: Database, ada: User):
    with pytest.raises(AssertionError):
        async with unchanged(database):
            await ada.client.patch("/v1/me", json={"bio": "changed"})


async def test_what_is_somebody_else_s_is_as_if_it_were_not_there(
    database: Database, eve: User, ring: NewRing, conversation: str
):
    client, key = eve.client, idempotency_key
    messages = f"/v1/conversations/{conversation}/messages"
    mine = f"/v1/rings/{ring.id}"
    async with unchanged(database):
        for request, code in [
            (client.get(f"/v1/conversations/{conversation}"), "conversation.not_found"),
            (client.get(messages), "conversation.not_found"),
            (client.post(messages, json={"body": "x"}, headers=key()), "conversation.not_found"),
            (client.patch(mine, json={"label": "mine"}), "ring.not_found"),
            (client.post(f"{mine}/lost"), "ring.not_found"),
            (client.post(f"{mine}/lost", headers=key()), "ring.not_found"),
            (client.post(f"/v1/development/rings/{ring.id}/tap"), "ring.not_found"),
        ]:
            assert await refused(request) == (404, code)
        for listing in ("/v1/rings", "/v1/rings/taps", f"/v1/rings/taps?ring_id={ring.id}"):
            assert (await client.get(listing)).json()["items"] == []
        assert (await client.get("/v1/conversations")).json()["items"] == []


async def test_malformed_and_oversized_bodies(
    database: Database, hub: Running, ada: User, conversation: str
):
    too_large = b'{"body":"' + b"x" * hub.settings.server.max_body_bytes + b'"}'
    async with unchanged(database):
        for content, expected in [
            (b"{", (400, "request.malformed")),
            (b'{"body":"x"} trailing', (400, "request.malformed")),
            (b'{"body":' + b"[" * 50_000 + b"]" * 50_000 + b"}", (400, "request.malformed")),
            (b'{"body":"x","more":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None),
            (b'{"body":' + b"9" * 100_000 + b"}", (400, "request.malformed")),
            (b'{"body":1e999999}', (400, "request.malformed")),
            (b'{"body":NaN}', (400, "request.malformed")),
            (b'{"body":"\\ud800"}', (400, "request.malformed")),
            (b'{"body":"\xed\xa0\x80"}', (400, "request.malformed")),
            (b'{"body":"\xff"}', (400, "request.malformed")),
            (b'{"body":"a\x00b"}', (400, "request.malformed")),
            (b'{"body":"a\\u0000b"}', (422, "request.invalid")),
            (b'{"body":"x","sender_id":"' + str(new_id()).encode() + b'"}', None),
            (b'{"body":"x","role":"admin"}', (422, "request.invalid")),
            (b'{"body":""}', (422, "request.invalid")),
            (b'{"body":null}', (422, "request.invalid")),
            (b"null", (422, "request.invalid")),
            (b"[]", (422, "request.invalid")),
            (b"", (422, "request.invalid")),
            (too_large, (413, "request.too_large")),
        ]:
            found = await refused(
                ada.client.post(
                    f"/v1/conversations/{conversation}/messages",
                    content=content,
                    headers={**JSON, **idempotency_key()},
                )
            )
            assert found[0] in {400, 413, 422}, content[:40]
            assert expected is None or found == expected, content[:40]


async def test_bad_tokens(database: Database, hub: Running, ada: User, conversation: str):
    token = ada.client.headers["authorization"].removeprefix("Bearer ")
    header, payload, signature = token.split(".")
    path = f"/v1/conversations/{conversation}/messages"
    async with unchanged(database), hub.client() as client:
        for bad in (
            f"{header}.{payload}.",
            f"{header}.{payload}.{signature[::-1]}",
            f"eyJhbGciOiJub25lIn0.{payload}.",
            f"{header}.eyJzdWIiOiJ4In0.{signature}",
            ada.refresh_token,
            "x" * 5000,
        ):
            headers = {"Authorization": f"Bearer {bad}", **idempotency_key()}
            request = client.post(path, json={"body": "x"}, headers=headers)
            assert await refused(request) == (401, "auth.token_invalid")
        for bad in ("x" * 43, token[:200], ada.refresh_token[:-1] + "_"):
            body = {"refresh_token": "".join(c for c in bad if c != ".")}
            request = client.post("/v1/auth/refresh", json=body)
            assert await refused(request) == (401, "auth.token_invalid")


async def test_wrong_origins_and_hosts(database: Database, hub: Running, ada: User):
    body = {"user_id": str(ada.id)}
    async with unchanged(database), hub.client() as client:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Host": "evil.example:8000"},
            {"Host": "["},
            {"X-Forwarded-For": "127.0.0.1"},
        ):
            request = client.post("/v1/auth/development/sign-in", json=body, headers=headers)
            assert (await refused(request))[0] == 403
        # What a page of another origin may send without asking first.
        for media_type in ("text/plain", "application/x-www-form-urlencoded"):
            answer = await client.post(
                "/v1/auth/development/sign-in",
                content=json.dumps(body),
                headers={"Content-Type": media_type},
            )
            assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type")


async def test_a_reused_key_for_another_request(database: Database, ada: User, conversation: str):
    key = idempotency_key()
    path = f"/v1/conversations/{conversation}/messages"
    assert (await ada.client.post(path, json={"body": "x"}, headers=key)).status_code == 201
    async with unchanged(database):
        other = ada.client.post(path, json={"body": "y"}, headers=key)
        assert await refused(other) == (422, "idempotency.mismatch")
        elsewhere = ada.client.post(
            "/v1/conversations", json={"partner_id": str(ada.id)}, headers=key
        )
        assert await refused(elsewhere) == (422, "idempotency.mismatch")
        for bad in ("", "a b", "k" * 256, "\xe9"):
            headers = {"Idempotency-Key": bad.encode("latin-1")}
            answer = await ada.client.post(path, json={"body": "z"}, headers=headers)  # pyright: ignore[reportArgumentType]
            assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_invalid")


@pytest.mark.req("RNG-05")
async def test_broken_sun_links(
    database: Database, hub: Running, ring: NewRing, make_ring: Callable[[], Awaitable[NewRing]]
):
    nobodys = await make_ring()
    used, fresh = sun_link(ring.nfc_uid, 5), sun_link(ring.nfc_uid, 6)
    async with hub.client() as client:
        assert (await client.get(used)).status_code == 200
    broken = {
        "cut": fresh[:-2],
        "another MAC": fresh[:-2] + ("00" if fresh[-2:] != "00" else "11"),
        "another counter": fresh.replace("picc_data=", "picc_data=0")[:-1],
        "twice": f"{fresh}&cmac=00",
        "no MAC": fresh.partition("&")[0],
        "nothing": "/t",
        "no UTF-8": "/t?picc_data=%FF&cmac=%FF",
        "endless": f"{fresh}&x={'x' * 5000}",
        "a tag that nobody has": sun_link(bytes(7), 1),
        "a ring that nobody claimed": sun_link(nobodys.nfc_uid, 1),
    }
    async with unchanged(database):
        answers: set[str] = set()
        for name, url in broken.items():
            async with hub.client(accept="application/json") as client:
                answer = await client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (403, "tap.refused"), name
            answers.add(answer.text.replace(answer.headers["x-request-id"], ""))
        assert len(answers) == 1, "a refusal says why"
        for counter in (5, 4):
            async with hub.client(accept="application/json") as client:
                request = client.get(sun_link(ring.nfc_uid, counter))
                assert await refused(request) == (409, "tap.already_used")


def sun_link(uid: bytes, counter: int) -> str:
    keys = tag_keys(SUN_MASTER_KEY, uid)
    return sun.make_link("/t", meta_key=keys.meta, file_key=keys.file, uid=uid, counter=counter)


@pytest.mark.req("RNG-05")
async def test_forged_and_replayed_taps_leave_only_evidence(database: Database, system_pool: Pool):
    connection = await connect(database)
    world, other = await create_world(connection), await create_world(connection, "Grace Hopper")
    await connection.close()
    keys = taps.RingKeys(FieldCipher(KeyRing.parse(FIELD_KEYS)), 30.0)

    async def verdicts(*messages: Any) -> list[str]:
        arrivals = [item for message in messages if (item := read_tap(message)) is not None]
        return [item.verdict for item in await taps.record(system_pool, keys, arrivals)]

    assert await verdicts(world.message(1)) == ["committed"]
    forged = world.message(2, raw=world.record(2, key=other.tap_key))
    moved = world.message(3, raw=world.record(4))
    stranger = type(world)(world.user_id, world.ring_id, bytes(8), bytes(16), world.gateway_id)
    async with unchanged(database, but=("rejected_taps",)):
        assert await verdicts(forged, moved, stranger.message(1)) == [
            "bad_tag",
            "malformed",
            "unknown_ring",
        ]
        assert await verdicts(world.message(1)) == ["committed"], "known: nothing is done again"
    connection = await connect(database)
    reasons = await connection.fetch("SELECT reason FROM rejected_taps ORDER BY reason")
    await connection.close()
    assert [row["reason"] for row in reasons] == ["bad_tag", "malformed", "unknown_ring"]


async def test_malformed_frames_and_unknown_channels(
    database: Database, hub: Running, eve: User, ada: User, conversation: str
):
    token = eve.client.headers["authorization"].removeprefix("Bearer ")
    connect_first = command(1, connect={"token": token})

    async def after_connect(frame: str | bytes) -> Dialogue:
        return await Dialogue().hold(hub, [connect_first, frame], {"Host": "127.0.0.1:8000"})

    async with unchanged(database):
        for frame, code in [
            ("", 3501),
            ("{", 3501),
            ("[" * 60_000, 3501),
            ('{"id":NaN}', 3501),
            ('{"id":-1,"rpc":{}}', 3501),
            ("{}", 3501),
            (connect_first, 3501),
            (command(2, subscribe={"channel": ""}), 3501),
            (command(2, refresh={"token": "x"}), 3500),
            (json.dumps({"send": {"data": 1}}), 3508),
            ("x" * (hub.settings.realtime.max_message_bytes + 1), 1009),
            (b"\x00\x01", 3501),
        ]:
            assert (await after_connect(frame)).closed == code, frame[:40]
        stranger = UUID(str(ada.id))
        for channel, code in [
            ("nowhere", 102),
            ("nowhere:1", 102),
            (f"taps:{stranger}", 103),
            (f"messages:{stranger}", 103),
            (f"taps:{str(eve.id).upper()}", 103),
            (f"conversation:{conversation}", 103),
            (f"conversation:{{{conversation}}}", 103),
            (f"conversation:{new_id()}", 103),
            ("conversation:*", 103),
            (f"taps:{eve.id}", 105),
            ("taps:\x00", 107),
            ("taps:" + "x" * 300, 107),
        ]:
            dialogue = await after_connect(command(2, subscribe={"channel": channel}))
            assert dialogue.replies[1]["error"]["code"] == code, channel
        for request, code in [
            ({"publish": {"channel": f"taps:{eve.id}", "data": {}}}, 103),
            ({"publish": {"channel": f"messages:{stranger}", "data": {}}}, 103),
            ({"history": {"channel": f"taps:{stranger}", "limit": 10}}, 103),
            ({"presence": {"channel": f"taps:{stranger}"}}, 108),
            ({"rpc": {"method": "x"}}, 104),
        ]:
            dialogue = await after_connect(command(2, **request))
            assert dialogue.replies[1]["error"]["code"] == code, request


async def test_websockets_with_bad_tokens_and_origins(database: Database, hub: Running, ada: User):
    token = ada.client.headers["authorization"].removeprefix("Bearer ")
    header, payload, _ = token.split(".")
    host = {"Host": "127.0.0.1:8000"}
    async with unchanged(database):
        unsigned = f"eyJhbGciOiJub25lIn0.{payload}."
        for bad, code in [
            ("", 3501),
            ("x", 3500),
            (f"{header}.{payload}.", 3500),
            (unsigned, 3500),
        ]:
            frames: list[str | bytes] = [command(1, connect={"token": bad})]
            assert (await Dialogue().hold(hub, frames, host)).closed == code, bad
        for origin in ("https://evil.example", "null", "http://[", "http://127.0.0.1:1"):
            frames = [command(1, connect={"token": token})]
            dialogue = await Dialogue().hold(hub, frames, {**host, "Origin": origin})
            assert not dialogue.accepted, origin
            assert dialogue.closed == 1008


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (
            "/v1/me/consents/location",
            {"granted": 1, "text_version": 1, "source": "settings"},
            "granted",
        ),
        ("/v1/me/consents/location", {"granted": "true", "text_version": 1}, "granted"),
        ("/v1/me/consents/location", {"granted": True, "text_version": "1"}, "text_version"),
        ("/v1/me/card", {"full_name": "Ada", "emails": {"0": "ada@example.com"}}, "emails"),
        ("/v1/me/card", {"full_name": "Ada", "emails": ["ada@example.com", 1]}, "emails[1]"),
    ],
)
async def test_values_are_not_taken_for_what_they_look_like(
    ada: User, path: str, body: dict[str, Any], field: str
):
    """A body is read with the types of the document: no 1 for true, no "1" for 1."""
    answer = await ada.client.put(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [(item["source"], item["field"]) for item in answer.json()["errors"]] == [
        ("body", field)
    ]


@pytest.mark.parametrize(
    "query", ["ring_id=null", "limit=1&ring_id=NULL", "ring_id=nuLL", "cursor=null"]
)
async def test_a_filter_that_is_null_is_not_one_that_was_left_out(ada: User, query: str):
    answer = await ada.client.get(f"/v1/rings/taps?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["errors"][0]["field"] in query
