"""API keys at the door: what they open, how soon they end, and what is refused."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core import api_key, clock
from core.db import Pool, begin, command, query
from core.db.failure import unavailable
from hub.app import create_app
from hub.domains.api_keys import service as api_keys
from hub.http import limits, queries
from hub.http.scopes import MEANINGS
from hub.wiring.scopes import ROUTE_SCOPES
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User, count_rows, user_actor


def code_of(answer: Any) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, body.get("code", "") if isinstance(body, dict) else ""


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition that is awaited, with a deadline."""
    deadline = time.monotonic() + 5
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


@pytest.mark.req("ACC-10")
async def test_a_key_opens_rest_by_either_header(hub: Running, ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "account:read")
    for headers in ({"x-api-key": key.text}, {"authorization": f"Bearer {key.text}"}):
        async with hub.client(**headers) as client:
            answer = await client.get("/v1/me")
            assert answer.status_code == 200, answer.text
            assert answer.json()["id"] == str(ada.id)


async def test_a_key_sees_its_owners_rows_only(
    ada: User, grace: User, new_key: NewKey, give_ring: Any
) -> None:
    mine, theirs = await give_ring(ada), await give_ring(grace)
    key = await new_key(ada, "rings:read", "rings:write")
    listed = (await key.client.get("/v1/rings")).json()["items"]
    assert [ring["id"] for ring in listed] == [str(mine.id)]
    answer = await key.client.patch(f"/v1/rings/{theirs.id}", json={"label": "mine now"})
    assert code_of(answer) == (404, "ring.not_found")


async def test_each_scope_opens_its_routes_and_all_others_do_not(
    hub: Running, ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "KEYS_MAX", 2 * len(MEANINGS) + 1)
    only = {scope: await new_key(ada, scope) for scope in MEANINGS}
    but = {scope: await new_key(ada, *(MEANINGS.keys() - {scope})) for scope in MEANINGS}
    every = await new_key(ada, *MEANINGS)
    some_id = "019a0000-0000-7000-8000-000000000000"
    before = await count_rows(hub.resources.system, "sessions")
    for route, needed in ROUTE_SCOPES.items():
        method, _, template = route.partition(" ")
        path = "/".join(some_id if part.startswith("{") else part for part in template.split("/"))
        # A body that no route takes: what gets past the guard changes nothing.
        if needed is None:
            answer = await every.client.request(method, path, json=["no such body"])
            assert code_of(answer) == (403, "auth.key_refused"), route
            continue
        answer = await but[needed].client.request(method, path, json=["no such body"])
        assert code_of(answer) == (403, "auth.scope_missing"), route
        assert f"`{needed}`" in answer.json()["detail"]
        answer = await only[needed].client.request(method, path, json=["no such body"])
        assert not answer.content or not code_of(answer)[1].startswith("auth."), route
    assert await count_rows(hub.resources.system, "sessions") == before


async def test_a_route_that_nobody_has_listed_is_closed_to_keys(
    hub: Running, ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "account:read")
    hub.app.state.route_scopes = {}
    assert code_of(await key.client.get("/v1/me")) == (403, "auth.key_refused")
    assert (await ada.client.get("/v1/me")).status_code == 200


@pytest.mark.req("ACC-10")
async def test_a_revoked_key_is_refused_within_a_second_by_a_process_that_was_not_told(
    hub: Running, start_app: Any, ada: User, new_key: NewKey
) -> None:
    other = await start_app(hub.settings)
    key = await new_key(ada, "account:read")
    async with other.client(**{"x-api-key": key.text}) as elsewhere:
        assert (await elsewhere.get("/v1/me")).status_code == 200
        revoked_at = time.monotonic()
        assert (await ada.client.delete(f"/v1/api-keys/{key.id}")).status_code == 204

        async def is_refused() -> bool:
            return (await elsewhere.get("/v1/me")).status_code == 401

        await until(is_refused, "the other process to refuse the key")
        # Beside the second what a busy machine needs to ask.
        assert time.monotonic() - revoked_at < 1.0 + 4.0
        assert code_of(await elsewhere.get("/v1/me")) == (401, "auth.key_invalid")


async def test_a_key_ends_at_its_time_even_while_it_is_believed(
    ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    key = await new_key(ada, "account:read", expires_at=ends_at.isoformat())
    assert (await key.client.get("/v1/me")).status_code == 200
    monkeypatch.setattr(clock, "now", lambda: ends_at)
    assert code_of(await key.client.get("/v1/me")) == (401, "auth.key_expired")


async def test_a_change_of_scopes_holds_within_a_second(ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "account:read")
    assert (await key.client.get("/v1/me")).status_code == 200
    await ada.client.patch(f"/v1/api-keys/{key.id}", json={"scopes": ["rings:read"]})

    async def is_refused() -> bool:
        return (await key.client.get("/v1/me")).status_code == 403

    await until(is_refused, "the scope to go")
    assert (await key.client.get("/v1/rings")).status_code == 200


async def test_a_closed_account_s_keys_open_nothing(
    ada: User, new_key: NewKey, system_pool: Pool
) -> None:
    key = await new_key(ada, "account:read")
    async with begin(system_pool, user_actor(ada.id)) as tx:
        await command("UPDATE users SET deleted_at = now() WHERE id = app.user_id()").run(tx)
    assert code_of(await key.client.get("/v1/me")) == (401, "auth.key_invalid")


async def test_a_slip_is_told_from_an_unknown_key_without_a_look_up(
    hub: Running, ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await new_key(ada, "account:read")
    stranger, _ = api_key.generate()
    slipped = key.text[:-1] + ("0" if key.text[-1] != "0" else "1")
    for text, code in ((stranger, "auth.key_invalid"), (slipped, "auth.key_malformed")):
        async with hub.client(**{"x-api-key": text}) as client:
            answer = await client.get("/v1/me")
            assert code_of(answer) == (401, code)
            assert answer.headers["www-authenticate"]
            assert text not in answer.text

    async def never(*_: object) -> None:
        pytest.fail("asked the database about a text that is no key")

    monkeypatch.setattr("hub.http.queries.find_api_key", type("Q", (), {"first": never}))
    async with hub.client(**{"x-api-key": slipped}) as client:
        assert code_of(await client.get("/v1/me")) == (401, "auth.key_malformed")


async def test_a_known_prefix_with_another_secret_opens_nothing(
    hub: Running, ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "account:read")
    forged = api_key.generate()[0].split("_")
    body = f"ping_{key.prefix}_{forged[2][: api_key.SECRET_CHARS]}"
    text = body + api_key._checksum(body)
    assert api_key.read(text).prefix == key.prefix
    async with hub.client(**{"x-api-key": text}) as client:
        assert code_of(await client.get("/v1/me")) == (401, "auth.key_invalid")
        # Whether the real one was seen a moment ago makes no difference.
        assert (await key.client.get("/v1/me")).status_code == 200
        assert code_of(await client.get("/v1/me")) == (401, "auth.key_invalid")
    assert (await key.client.get("/v1/me")).status_code == 200


async def test_more_than_one_credential_is_none(hub: Running, ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "account:read")
    bearer = f"Bearer {key.text}"
    token = ada.client.headers["authorization"]
    for headers in (
        [("x-api-key", key.text), ("x-api-key", key.text)],
        [("x-api-key", key.text), ("authorization", token)],
        [("authorization", bearer), ("authorization", token)],
        [("authorization", token), ("authorization", token)],
        [("x-api-key", ""), ("authorization", token)],
    ):
        async with hub.client() as client:
            answer = await client.get("/v1/me", headers=headers)
            assert code_of(answer) == (400, "auth.ambiguous"), headers
    async with hub.client(**{"x-api-key": f"{key.text}, {key.text}"}) as client:
        assert code_of(await client.get("/v1/me")) == (401, "auth.key_malformed")


async def test_an_access_token_is_no_api_key_and_the_other_way_round(
    hub: Running, ada: User, new_key: NewKey
) -> None:
    token = ada.client.headers["authorization"].removeprefix("Bearer ")
    async with hub.client(**{"x-api-key": token}) as client:
        assert code_of(await client.get("/v1/me")) == (401, "auth.key_malformed")
    key = await new_key(ada, "account:read")
    for scheme in ("Basic", "ApiKey"):
        async with hub.client(authorization=f"{scheme} {key.text}") as client:
            assert code_of(await client.get("/v1/me")) == (401, "auth.required")


@pytest.mark.parametrize("spelling", ["?api_key={}", "?a=1&access_token=%70{}", "?{}", "?q=x+{}+y"])
async def test_a_key_in_the_url_is_refused_and_never_logged(
    hub: Running, ada: User, new_key: NewKey, spelling: str
) -> None:
    key = await new_key(ada, "account:read")
    written = key.text[1:] if "%70" in spelling else key.text
    with capture_logs() as lines:
        for client in (hub.client(), ada.client, key.client):
            answer = await client.get("/v1/me" + spelling.format(written))
            assert code_of(answer) == (400, "auth.key_in_url")
            assert key.text not in answer.text
    secret = key.text.rpartition("_")[2]
    assert lines
    assert secret not in json.dumps(lines, default=str)


async def test_no_log_line_holds_a_key_and_its_prefix_says_whose_request_it_was(
    ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "account:read")
    with capture_logs() as lines:
        await key.client.get("/v1/me")
        await key.client.get(f"/v1/rings/{key.text}")
        await key.client.patch("/v1/me", json={})
    text = json.dumps(lines, default=str)
    assert key.text.rpartition("_")[2] not in text
    assert [line.get("api_key") for line in lines if line["event"] == "request_finished"] == [
        key.prefix,
        None,
        key.prefix,
    ]


@pytest.mark.req("SEC-03")
async def test_the_audit_log_says_that_a_key_acted(
    ada: User, new_key: NewKey, system_pool: Pool
) -> None:
    key = await new_key(ada, "account:write")
    assert (await key.client.patch("/v1/me", json={"locale": "de"})).status_code == 200
    entries = query(
        str,
        "SELECT actor_kind FROM audit_log WHERE user_id = app.user_id()"
        " AND resource_type = 'users' AND action = 'update' ORDER BY id DESC LIMIT 1",
    )
    async with begin(system_pool, user_actor(ada.id)) as tx:
        assert await entries.one(tx) == "api_key"


async def test_its_use_is_noted_beside_the_request_and_once_a_minute(
    hub: Running, ada: User, new_key: NewKey, system_pool: Pool
) -> None:
    key = await new_key(ada, "account:read")
    assert (await key.client.get("/v1/me")).status_code == 200

    async def used_at() -> str | None:
        (listed,) = (await ada.client.get("/v1/api-keys")).json()["items"]
        return listed["last_used_at"]

    await until(used_at, "the use to be noted")
    first = await used_at()
    hub.resources.api_keys._believed.clear()
    await key.client.get("/v1/me")
    await hub.resources.api_keys.close()
    assert await used_at() == first
    age = command("UPDATE api_keys SET last_used_at = now() - interval '61 seconds' WHERE true")
    async with begin(system_pool, user_actor(ada.id)) as tx:
        await age.run(tx)
    hub.resources.api_keys._believed.clear()
    await key.client.get("/v1/me")
    await hub.resources.api_keys.close()
    assert await used_at() > first


async def test_a_database_that_is_slow_to_note_slows_no_request(
    hub: Running, ada: User, new_key: NewKey, system_pool: Pool
) -> None:
    key = await new_key(ada, "account:read")
    lock = command("SELECT FROM api_keys FOR UPDATE")
    async with begin(system_pool, user_actor(ada.id)) as tx:
        await lock.run(tx)
        async with asyncio.timeout(20):
            assert (await key.client.get("/v1/me")).status_code == 200
    await hub.resources.api_keys.close()


async def test_many_requests_are_one_look_up(
    hub: Running, ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await new_key(ada, "account:read")
    asked = questions(monkeypatch)
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: 1000.0)
    quota = limits.POLICIES["refused_key"].quota
    # At once, by a process that does not know the key, and more than an address may guess.
    at_once = [key.client.get("/v1/me") for _ in range(quota + 20)]
    assert {answer.status_code for answer in await asyncio.gather(*at_once)} == {200}
    for _ in range(10):
        assert (await key.client.get("/v1/me")).status_code == 200
    assert len(asked) == 1


def questions(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what PostgreSQL is asked for from now on: hashes of keys."""
    asked: list[bytes] = []
    real = queries.find_api_key

    async def first(tx: Any, secret_hash: bytes) -> Any:
        asked.append(secret_hash)
        return await real.first(tx, secret_hash)

    monkeypatch.setattr(queries, "find_api_key", SimpleNamespace(first=first))
    return asked


async def test_each_key_has_a_limit_of_its_own(
    ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await new_key(ada, "account:read"), await new_key(ada, "account:read")
    real = limits.Limiter.take
    subjects: list[str] = []

    async def noted(self: limits.Limiter, name: str, subject: str, **more: Any) -> Any:
        if name == "default":
            subjects.append(subject)
        return await real(self, name, subject, **more)

    monkeypatch.setattr(limits.Limiter, "take", noted)
    for client in (one.client, two.client, ada.client):
        assert (await client.get("/v1/me")).status_code == 200
    assert subjects == [f"key:{one.id}", f"key:{two.id}", str(ada.id)]


async def test_dear_policies_count_the_account_however_many_keys_it_has(
    ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects: list[tuple[str, str]] = []

    async def noted(_: limits.Limiter, name: str, subject: str, **more: Any) -> None:
        if more.get("cost") != 0:
            subjects.append((name, subject))

    keys = [await new_key(ada, "rings:write") for _ in range(2)]
    monkeypatch.setattr(limits.Limiter, "take", noted)
    for key in keys:
        await key.client.post("/v1/ring-claims", json={})
    assert subjects == [("claim", str(ada.id))] * 2


@pytest.mark.parametrize("has_redis", [True, False])
async def test_guessing_is_slowed_by_address_before_the_database_is_asked(
    hub: Running, ada: User, new_key: NewKey, has_redis: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_redis:
        monkeypatch.setattr(limits, "DEADLINE_SECONDS", 30.0)
    else:
        hub.resources.limiter._closed_until["open"] = math.inf
    used, unused, ended = [await new_key(ada, "account:read") for _ in range(3)]
    # So slow that nothing comes back meanwhile.
    policy = limits.Policy("refused_key", 20, 86_400, "ip")
    hub.resources.limiter.policies = {**hub.resources.limiter.policies, policy.name: policy}

    async def present(text: str, peer: str = "192.0.2.9") -> Any:
        async with hub.client(peer=peer, **{"x-api-key": text}) as client:
            return await client.get("/v1/me")

    for key in (used, ended):
        assert (await present(key.text)).status_code == 200
    asked = questions(monkeypatch)
    guesses = [present(api_key.generate()[0]) for _ in range(4 * policy.quota)]
    codes = Counter(answer.status_code for answer in await asyncio.gather(*guesses))
    assert codes.keys() == {401, 429}
    assert codes[401] <= len(asked) <= policy.quota
    while (await present(api_key.generate()[0])).status_code == 401:
        pass
    refused = await present(api_key.generate()[0])
    assert code_of(refused) == (429, "limit.exceeded")
    assert refused.headers["retry-after"]
    assert len(asked) <= policy.quota
    # A key that this hub knows is looked up anew, whatever others behind the address do.
    now = clock.monotonic_seconds()
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: now + 3600.0)
    assert (await present(used.text)).status_code == 200
    # One that was revoked, or that nobody has used here, is as good as a guess.
    await ada.client.delete(f"/v1/api-keys/{ended.id}")
    asked.clear()
    assert [(await present(ended.text)).status_code for _ in range(3)] == [429] * 3
    assert len(asked) == 1
    assert (await present(unused.text)).status_code == 429
    assert (await present(unused.text, peer="192.0.2.10")).status_code == 200


async def test_without_a_database_a_key_is_not_called_wrong(
    hub: Running, ada: User, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await new_key(ada, "account:read")

    async def away(*_: object) -> None:
        raise unavailable()

    monkeypatch.setattr(hub.resources.api, "acquire", away)
    answer = await key.client.get("/v1/me")
    assert code_of(answer) == (503, "service.unavailable")
    assert answer.headers["retry-after"]


async def test_the_document_says_which_scope_opens_an_operation(hub: Running) -> None:
    document = create_app(hub.settings).openapi_schema.to_schema()
    assert document["components"]["securitySchemes"]["api_key"]["in"] == "header"
    for route, scope in ROUTE_SCOPES.items():
        method, _, path = route.partition(" ")
        security = document["paths"][path][method.lower()].get("security")
        expected = None if scope is None else [{"access_token": []}, {"api_key": [scope]}]
        assert security == expected, route


async def test_what_a_key_may_not_do_uses_up_none_of_the_account_s_dear_requests(
    ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "account:read")
    for _ in range(limits.POLICIES["claim"].quota + 1):
        answer = await key.client.post("/v1/ring-claims", json={})
        assert code_of(answer) == (403, "auth.scope_missing")
    answer = await ada.client.post("/v1/ring-claims", json={})
    assert code_of(answer) == (422, "request.invalid")
