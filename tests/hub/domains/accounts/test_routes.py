"""Accounts over REST: signing in, staying so, being oneself."""

import asyncio
from datetime import UTC, datetime

import pytest

from core.db import Pool, Tx, begin
from core.ids import new_id
from hub.domains.accounts import service as accounts
from hub.domains.accounts.schemas import StoredSession
from tests.fixtures.app import Running, User, user_actor, with_server

SIGN_IN = "/v1/auth/development/sign-in"
USERS = "/v1/auth/development/users"


async def refresh(client, token: str):
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def live_sessions(pool: Pool) -> int:
    async with pool.connection() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM sessions WHERE revoked_at IS NULL AND expires_at > now()"
        )


async def test_the_picker_lists_users_and_signs_one_in(anonymous, ada: User, grace: User):
    listed = (await anonymous.get(USERS)).json()
    assert {item["id"]: item["full_name"] for item in listed["items"]} == {
        str(ada.id): "Ada Lovelace",
        str(grace.id): "Grace Hopper",
    }
    assert listed["items"][0].keys() == {"id", "full_name"}
    answer = await anonymous.post(SIGN_IN, json={"user_id": str(grace.id)})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["user"]["full_name"] == "Grace Hopper"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await anonymous.get("/v1/me", headers=headers)).json()["id"] == str(grace.id)


async def test_the_picker_pages(anonymous, ada, grace):
    first = (await anonymous.get(USERS, params={"limit": 1})).json()
    assert first["has_more"]
    second = (
        await anonymous.get(USERS, params={"limit": 1, "cursor": first["next_cursor"]})
    ).json()
    assert [first["items"][0]["id"], second["items"][0]["id"]] == [str(ada.id), str(grace.id)]
    assert (second["has_more"], second["next_cursor"]) == (False, None)


async def test_development_sign_in_is_for_this_machine_only(hub: Running, ada):
    for peer in ("203.0.113.9", "10.0.0.5", "::ffff:203.0.113.9"):
        async with hub.client(peer=peer) as client:
            for answer in (
                await client.get(USERS),
                await client.post(SIGN_IN, json={"user_id": str(ada.id)}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (403, "auth.development_only")


async def test_a_forwarded_address_does_not_make_a_stranger_local(hub: Running, ada):
    headers = {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}
    async with hub.client(peer="203.0.113.9", **headers) as client:
        assert (await client.post(SIGN_IN, json={"user_id": str(ada.id)})).status_code == 403


async def test_a_proxy_on_this_machine_makes_nobody_local(anonymous, ada):
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"):
        answer = await anonymous.post(
            SIGN_IN, json={"user_id": str(ada.id)}, headers={name: "127.0.0.1"}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.development_only")


async def test_a_trusted_proxy_may_say_that_everybody_is_local(start_app, app_settings, ada):
    proxied = await start_app(with_server(app_settings, trusted_proxies=("172.31.77.0/24",)))
    async with proxied.client() as client:
        for hops, status in [
            ("127.0.0.1", 200),
            ("203.0.113.9", 403),
            ("203.0.113.9, 127.0.0.1", 403),
            ("127.0.0.1, 203.0.113.9", 403),
            ("", 403),
        ]:
            headers = {"x-forwarded-for": hops}
            answer = await client.post(SIGN_IN, json={"user_id": str(ada.id)}, headers=headers)
            assert answer.status_code == status, hops


async def test_development_sign_in_refuses_pages_from_elsewhere(anonymous, ada):
    for headers, code in [
        ({"host": "evil.example"}, "auth.development_only"),
        ({"host": "localhost.evil.example:8000"}, "auth.development_only"),
        ({"host": "evil.example@localhost"}, "auth.development_only"),
        ({"host": "127.0.0.1:port"}, "auth.development_only"),
        ({"host": ""}, "auth.development_only"),
        ({"host": "["}, "auth.development_only"),
        ({"host": "[::1"}, "auth.development_only"),
        ({"origin": "https://evil.example"}, "request.origin_refused"),
        ({"origin": "null"}, "request.origin_refused"),
    ]:
        answer = await anonymous.post(SIGN_IN, json={"user_id": str(ada.id)}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code)


async def test_the_console_s_own_origin_signs_in(anonymous, ada):
    headers = {"origin": "http://localhost:8000", "host": "localhost:8000"}
    answer = await anonymous.post(SIGN_IN, json={"user_id": str(ada.id)}, headers=headers)
    assert answer.status_code == 200


async def test_development_sign_in_is_off_in_production(start_app, app_settings, system_pool):
    production = await start_app(with_server(app_settings, mode="production"))
    async with production.client() as client:
        for answer in (
            await client.get(USERS),
            await client.post(SIGN_IN, json={"user_id": str(new_id())}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.development_only")
    assert await live_sessions(system_pool) == 0


async def test_nobody_is_signed_in_as_a_user_who_does_not_exist(anonymous, system_pool):
    answer = await anonymous.post(SIGN_IN, json={"user_id": str(new_id())})
    assert answer.status_code == 404
    assert await live_sessions(system_pool) == 0


async def test_a_refresh_token_brings_its_successor(anonymous, ada: User):
    answer = await refresh(anonymous, ada.refresh_token)
    assert answer.status_code == 200
    successor = answer.json()["refresh_token"]
    assert successor != ada.refresh_token
    assert (await refresh(anonymous, successor)).status_code == 200


async def test_a_lost_answer_is_repeated(anonymous, ada: User, system_pool: Pool):
    first, second = [(await refresh(anonymous, ada.refresh_token)).json() for _ in range(2)]
    assert first["refresh_token"] == second["refresh_token"]
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert (await anonymous.get("/v1/me", headers=headers)).status_code == 200
    assert await live_sessions(system_pool) == 1


@pytest.mark.req("ACC-09")
async def test_a_token_two_generations_old_ends_the_sign_in_session(
    anonymous, ada: User, system_pool: Pool
):
    successor = (await refresh(anonymous, ada.refresh_token)).json()["refresh_token"]
    newest = (await refresh(anonymous, successor)).json()
    reused = await refresh(anonymous, ada.refresh_token)
    assert (reused.status_code, reused.json()["code"]) == (401, "auth.token_invalid")
    assert (await refresh(anonymous, newest["refresh_token"])).status_code == 401
    headers = {"Authorization": f"Bearer {newest['access_token']}"}
    assert (await anonymous.get("/v1/me", headers=headers)).status_code == 401
    assert await live_sessions(system_pool) == 0


async def test_a_parent_that_comes_late_ends_the_sign_in_session_and_is_audited(
    anonymous, ada: User, system_pool: Pool
):
    successor = (await refresh(anonymous, ada.refresh_token)).json()["refresh_token"]
    await let_grace_pass(system_pool)
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 401
    assert (await refresh(anonymous, successor)).status_code == 401
    async with system_pool.connection() as connection:
        found = await connection.fetch(
            """SELECT new_values::jsonb ->> 'revoked_because' AS because, endpoint, user_id
            FROM audit_log WHERE resource_type = 'sessions' AND action = 'update' ORDER BY id"""
        )
    # The newest token ends the session; the one that came late is marked.
    because = [row["because"] for row in found if row["because"]]
    assert because == ["exchanged", "reused", "reused"]
    assert (found[-1]["endpoint"], found[-1]["user_id"]) == ("POST /v1/auth/refresh", ada.id)


async def let_grace_pass(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("UPDATE sessions SET revoked_at = revoked_at - interval '10 s'")


async def test_a_successor_that_another_key_made_is_not_given_out(
    hub: Running, anonymous, ada: User, system_pool: Pool
):
    await refresh(anonymous, ada.refresh_token)
    hub.resources.index_key = bytes(32)
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 401
    assert await live_sessions(system_pool) == 0


async def test_another_sign_in_survives_the_end_of_one(anonymous, ada: User, system_pool: Pool):
    other = (await anonymous.post(SIGN_IN, json={"user_id": str(ada.id)})).json()
    await refresh(anonymous, ada.refresh_token)
    await let_grace_pass(system_pool)
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 401
    assert (await refresh(anonymous, other["refresh_token"])).status_code == 200


async def test_fifty_parallel_refreshes_have_one_successor(hub: Running, ada: User, system_pool):
    async def ask(number: int) -> tuple[int, str]:
        async with hub.client(peer=f"192.0.2.{number}") as client:
            answer = await refresh(client, ada.refresh_token)
        return answer.status_code, answer.json()["refresh_token"]

    answers = await asyncio.gather(*map(ask, range(50)))
    [(status, successor)] = set(answers)
    assert status == 200
    assert await live_sessions(system_pool) == 1
    async with hub.client() as client:
        assert (await refresh(client, successor)).status_code == 200


async def wait_for_a_lock(pool: Pool) -> None:
    """Return when some transaction waits for another."""
    async with asyncio.timeout(5), pool.connection() as connection:
        waiting = "SELECT count(*) FROM pg_sleep(0.01), pg_locks WHERE NOT granted"
        while not await connection.fetchval(waiting):
            pass


async def rotate(hub: Running, tx: Tx, session: StoredSession, token: str) -> object:
    key = hub.resources.index_key
    return await accounts.rotate_session(tx, session, token, lifetime_seconds=3600, key=key)


async def test_a_refresh_under_way_does_not_outlive_the_end_of_its_family(
    hub: Running, anonymous, ada: User, system_pool: Pool
):
    successor = (await refresh(anonymous, ada.refresh_token)).json()["refresh_token"]
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        session = await accounts.find_session(tx, successor)
        assert await rotate(hub, tx, session, successor)
        reused = asyncio.create_task(refresh(anonymous, ada.refresh_token))
        await wait_for_a_lock(system_pool)
    assert (await reused).status_code == 401
    assert await live_sessions(system_pool) == 0


async def test_a_refresh_under_way_does_not_outlive_a_logout(
    hub: Running, ada: User, system_pool: Pool
):
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        session = await accounts.find_session(tx, ada.refresh_token)
        assert await rotate(hub, tx, session, ada.refresh_token)
        logout = asyncio.create_task(ada.client.post("/v1/auth/logout"))
        await wait_for_a_lock(system_pool)
    assert (await logout).status_code == 204
    assert await live_sessions(system_pool) == 0


async def test_an_expired_refresh_token_is_refused(anonymous, ada: User, system_pool: Pool):
    async with system_pool.connection() as connection:
        await connection.execute("UPDATE sessions SET expires_at = now() - interval '1 s'")
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 401


async def test_an_unknown_refresh_token_is_refused(anonymous):
    answer = await refresh(anonymous, "x" * 43)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")


async def test_refresh_tokens_are_stored_as_hashes_only(ada: User, system_pool: Pool):
    async with system_pool.connection() as connection:
        rows = await connection.fetch("SELECT to_jsonb(s)::text FROM sessions AS s")
    assert rows
    assert all(ada.refresh_token not in row[0] for row in rows)


async def test_logout_ends_the_session_and_all_its_tokens(ada: User, anonymous):
    answer = await ada.client.post("/v1/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    for answer in (await ada.client.post("/v1/auth/logout"), await ada.client.get("/v1/me")):
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 401


@pytest.mark.req("PRO-01")
async def test_me_is_the_whole_account_with_its_profile(ada: User):
    me = (await ada.client.get("/v1/me")).json()
    assert me["profile"] == {
        "user_id": str(ada.id),
        "username": None,
        "display_name": "Ada Lovelace",
        "bio": None,
        "visibility": "friends",
    }
    assert datetime.fromisoformat(me["created_at"]) <= datetime.now(UTC)
    assert (me["email"], me["timezone"], me["role"]) == (
        "ada.lovelace@example.com",
        "UTC",
        "user",
    )


async def test_me_changes_only_what_is_given(ada: User, grace: User):
    before = (await ada.client.get("/v1/me")).json()
    changed = await ada.client.patch("/v1/me", json={"bio": "Notes", "timezone": "Europe/London"})
    assert changed.status_code == 200
    assert changed.json() == {
        **before,
        "timezone": "Europe/London",
        "profile": {**before["profile"], "bio": "Notes"},
    }
    assert (await ada.client.get("/v1/me")).json() == changed.json()
    assert (await grace.client.get("/v1/me")).json()["profile"]["bio"] is None


async def test_an_empty_change_changes_nothing(ada: User):
    before = (await ada.client.get("/v1/me")).json()
    assert (await ada.client.patch("/v1/me", json={})).json() == before


async def test_a_bad_change_is_refused_by_name_and_changes_nothing(ada: User):
    before = (await ada.client.get("/v1/me")).json()
    for body, field in [
        ({"full_name": ""}, "full_name"),
        ({"full_name": "   "}, "full_name"),
        ({"full_name": "x" * 121}, "full_name"),
        ({"full_name": "line\nbreak"}, "full_name"),
        ({"full_name": "line feed\n"}, "full_name"),
        ({"full_name": None}, "full_name"),
        ({"full_name": 7}, "full_name"),
        ({"bio": "nul\x00"}, "bio"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "UTC\n"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"locale": "not a locale"}, "locale"),
        ({"locale": "en\n"}, "locale"),
        ({"role": "admin"}, "role"),
        ({"id": str(new_id())}, "id"),
    ]:
        answer = await ada.client.patch("/v1/me", json={"display_name": "Countess", **body})
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await ada.client.get("/v1/me")).json() == before


async def test_an_account_that_is_gone_is_signed_out(ada: User, system_pool: Pool):
    async with system_pool.connection() as connection:
        await connection.execute("DELETE FROM users WHERE id = $1", ada.id)
    answer = await ada.client.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")


@pytest.mark.req("PRD-06")
@pytest.mark.req("SEC-01")
async def test_the_email_is_sealed_at_rest(ada: User, system_pool: Pool):
    async with system_pool.connection() as connection:
        stored = await connection.fetchval("SELECT to_jsonb(u)::text FROM users AS u")
    assert b"ada.lovelace@example.com".hex() not in stored
    assert "ada.lovelace@example.com" not in stored
