"""API keys and service accounts over REST: made once, listed without secrets, ended for good."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import api_key
from core.actor import SYSTEM, Actor
from core.db import Pool, begin, command, query
from core.errors import DomainError
from core.ids import UserId
from hub.domains.accounts import service as accounts
from hub.domains.api_keys import service
from hub.domains.api_keys.schemas import NewApiKey
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User, count_rows, idempotency_key

NEW = {"name": "backend", "scopes": ["rings:read"]}
MORE = NewApiKey(name="more", scopes=["rings:read"])


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def everything(pool: Pool) -> str:
    """Return all that the database holds of keys, their answers, audit and events, as text."""
    parts = []
    async with pool.connection() as connection:
        for table in ("api_keys", "idempotency_keys", "events", "users"):
            parts += await connection.fetch(
                f"SELECT t::text, encode(convert_to(t::text, 'UTF8'), 'escape') FROM {table} AS t"
            )
        bodies = await connection.fetch("SELECT response_body FROM idempotency_keys")
        audit = await connection.fetch("SELECT old_values::text, new_values::text FROM audit_log")
    return repr(parts) + repr([bytes(row[0] or b"") for row in bodies]) + repr(audit)


@pytest.mark.req("ACC-10")
async def test_a_key_is_shown_once_and_listed_without_its_secret(ada: User) -> None:
    ends_at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    body = {**NEW, "scopes": ["taps:read", "rings:read", "taps:read"], "expires_at": ends_at}
    answer = await ada.client.post("/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert api_key.read(made["key"]).prefix == made["prefix"]
    (listed,) = (await ada.client.get("/v1/api-keys")).json()["items"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert listed["scopes"] == ["rings:read", "taps:read"]
    assert datetime.fromisoformat(listed["expires_at"]) == datetime.fromisoformat(ends_at)
    assert listed["last_used_at"] is None


async def test_neither_key_nor_secret_is_stored_anywhere(ada: User, system_pool: Pool) -> None:
    answer = await ada.client.post("/v1/api-keys", json=NEW, headers=idempotency_key())
    stored = await everything(system_pool)
    secret = answer.json()["key"].rpartition("_")[2]
    assert answer.json()["prefix"] in stored
    assert secret not in stored
    assert secret[: api_key.SECRET_CHARS] not in stored
    hashed = api_key.read(answer.json()["key"]).secret_hash.hex()
    audit = query(str, "SELECT coalesce(string_agg(new_values::text, ''), '') FROM audit_log")
    async with begin(system_pool, SYSTEM) as tx:
        text = await audit.one(tx)
    assert '"secret_hash": null' in text
    assert hashed not in text


async def test_a_repeated_request_makes_one_key_and_does_not_show_it_again(
    ada: User, system_pool: Pool
) -> None:
    headers = idempotency_key()
    first = await ada.client.post("/v1/api-keys", json=NEW, headers=headers)
    again = await ada.client.post("/v1/api-keys", json=NEW, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**first.json(), "key": None}
    assert await count_rows(system_pool, "api_keys") == 1


async def test_keys_are_listed_in_pages(ada: User, new_key: NewKey) -> None:
    made = [(await new_key(ada, "rings:read")).id for _ in range(3)]
    first = (await ada.client.get("/v1/api-keys?limit=2")).json()
    second = (await ada.client.get(f"/v1/api-keys?limit=2&cursor={first['next_cursor']}")).json()
    listed = [key["id"] for key in first["items"] + second["items"]]
    assert listed == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    answer = await ada.client.get("/v1/rings", params={"cursor": first["next_cursor"]})
    assert refusal(answer) == (400, "request.cursor_invalid")


async def test_a_key_is_renamed_and_its_scopes_change(ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "rings:read")
    renamed = await ada.client.patch(f"/v1/api-keys/{key.id}", json={"name": "billing"})
    assert (renamed.json()["name"], renamed.json()["scopes"]) == ("billing", ["rings:read"])
    changed = await ada.client.patch(f"/v1/api-keys/{key.id}", json={"scopes": ["taps:read"]})
    assert (changed.json()["name"], changed.json()["scopes"]) == ("billing", ["taps:read"])


async def test_a_revoked_key_stays_so(ada: User, new_key: NewKey) -> None:
    key = await new_key(ada, "rings:read")
    assert (await ada.client.delete(f"/v1/api-keys/{key.id}")).status_code == 204
    assert (await ada.client.delete(f"/v1/api-keys/{key.id}")).status_code == 204
    answer = await ada.client.patch(f"/v1/api-keys/{key.id}", json={"name": "back"})
    assert refusal(answer) == (404, "key.not_found")
    assert (await ada.client.get("/v1/api-keys")).json()["items"] == []


async def test_another_s_key_is_as_if_it_did_not_exist(
    ada: User, grace: User, new_key: NewKey
) -> None:
    key = await new_key(grace, "rings:read")
    for answer in (
        await ada.client.patch(f"/v1/api-keys/{key.id}", json={"name": "mine"}),
        await ada.client.patch(f"/v1/api-keys/{key.id}", json={"scopes": ["taps:read"]}),
        await ada.client.delete(f"/v1/api-keys/{key.id}"),
    ):
        assert refusal(answer) == (404, "key.not_found")
    assert (await key.client.get("/v1/rings")).status_code == 200
    (listed,) = (await grace.client.get("/v1/api-keys")).json()["items"]
    assert (listed["name"], listed["scopes"]) == ("backend", ["rings:read"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["*"]},
        {"scopes": ["rings:*"]},
        {"scopes": ["api-keys:write"]},
        {"scopes": "rings:read"},
        {"scopes": ["rings:read"] * 65},
        {"name": ""},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 121},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"expires_at": 1},
        {"user_id": "019a0000-0000-7000-8000-000000000000"},
        {"prefix": "aaaaaaaaaaaa"},
    ],
)
async def test_what_makes_no_sense_makes_no_key(
    ada: User, system_pool: Pool, wrong: dict[str, Any]
) -> None:
    answer = await ada.client.post("/v1/api-keys", json={**NEW, **wrong})
    assert refusal(answer) == (422, "request.invalid")
    assert answer.json()["errors"]
    assert await count_rows(system_pool, "api_keys") == 0


async def test_an_account_has_at_most_fifty_live_keys_whatever_comes_at_once(
    hub: Running, ada: User, system_pool: Pool
) -> None:
    fill = command(
        """INSERT INTO api_keys (user_id, name, prefix, secret_hash, scopes)
        SELECT $1, 'full', translate(lpad(n::text, 12, 'a'), '0189', 'zyxw'),
            sha256(n::text::bytea), '{rings:read}'
        FROM generate_series(1, $2::int) AS n"""
    )
    async with begin(hub.resources.system, SYSTEM) as tx:
        await fill.run(tx, ada.id, service.KEYS_MAX - 2)
    answers = await asyncio.gather(*(ada.client.post("/v1/api-keys", json=NEW) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"key.limit"}
    assert await count_rows(system_pool, "api_keys") == service.KEYS_MAX


async def test_the_database_gives_a_key_no_way_in_whatever_a_route_forgets(
    hub: Running, ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "rings:read")
    by_key = Actor(kind="api_key", user_id=UserId(ada.id))
    house = hub.resources
    for forbidden in (
        lambda tx: service.create_key(tx, UserId(ada.id), MORE),
        lambda tx: accounts.open_session(tx, lifetime_seconds=60),
    ):
        with pytest.raises(DomainError) as refused:
            async with begin(house.api, by_key) as tx:
                await forbidden(tx)
        assert refused.value.code == "auth.forbidden"
    async with begin(house.api, by_key) as tx:
        listed = await service.list_keys(tx, UserId(ada.id), limit=10, cursor=None)
        assert listed.items == []
        for table in ("sessions", "user_logins"):
            assert await query(int, f"SELECT count(*) FROM {table}").one(tx) == 0
        with pytest.raises(DomainError):
            await service.revoke_key(tx, UserId(ada.id), key.id)  # pyright: ignore[reportArgumentType]
    assert (await key.client.get("/v1/rings")).status_code == 200


@pytest.mark.req("ACC-10")
async def test_a_service_account_acts_by_its_keys_and_sees_its_own(
    admin_user: User, ada: User, new_key: NewKey, give_ring: Any
) -> None:
    await give_ring(ada)
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    assert made.status_code == 201, made.text
    account = made.json()
    keys = f"/v1/service-accounts/{account['id']}/api-keys"
    key = await new_key(admin_user, "account:read", "rings:read", at=keys)
    me = (await key.client.get("/v1/me")).json()
    assert (me["id"], me["full_name"], me["role"]) == (account["id"], "Billing", "user")
    assert (await key.client.get("/v1/rings")).json()["items"] == []
    listed = (await admin_user.client.get("/v1/service-accounts")).json()["items"]
    assert listed == [account]
    (shown,) = (await admin_user.client.get(keys)).json()["items"]
    assert shown["prefix"] == key.prefix
    renamed = await admin_user.client.patch(f"{keys}/{key.id}", json={"name": "new"})
    assert renamed.json()["name"] == "new"
    assert (await admin_user.client.get("/v1/api-keys")).json()["items"] == []
    assert (await admin_user.client.delete(f"{keys}/{key.id}")).status_code == 204
    assert (await admin_user.client.get(keys)).json()["items"] == []


async def test_a_repetition_shows_no_service_key_again(admin_user: User, system_pool: Pool) -> None:
    headers = idempotency_key()
    accounts_made = [
        await admin_user.client.post("/v1/service-accounts", json={"name": "B"}, headers=headers)
        for _ in range(2)
    ]
    assert accounts_made[0].content == accounts_made[1].content
    path = f"/v1/service-accounts/{accounts_made[0].json()['id']}/api-keys"
    headers = idempotency_key()
    first = await admin_user.client.post(path, json=NEW, headers=headers)
    again = await admin_user.client.post(path, json=NEW, headers=headers)
    assert again.json() == {**first.json(), "key": None}
    assert first.json()["key"].rpartition("_")[2] not in await everything(system_pool)


async def test_a_closed_service_account_s_keys_open_nothing(
    admin_user: User, new_key: NewKey
) -> None:
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    path = f"/v1/service-accounts/{made.json()['id']}"
    key = await new_key(admin_user, "account:read", at=f"{path}/api-keys")
    assert (await admin_user.client.delete(path)).status_code == 204
    assert refusal(await key.client.get("/v1/me")) == (401, "auth.key_invalid")
    for answer in (
        await admin_user.client.delete(path),
        await admin_user.client.get(f"{path}/api-keys"),
        await admin_user.client.post(f"{path}/api-keys", json=NEW),
        await admin_user.client.delete(f"{path}/api-keys/{key.id}"),
    ):
        assert refusal(answer) == (404, "account.not_found")


async def test_administrators_reach_no_person_s_keys(
    admin_user: User, ada: User, new_key: NewKey
) -> None:
    key = await new_key(ada, "account:read")
    path = f"/v1/service-accounts/{ada.id}"
    for answer in (
        await admin_user.client.get(f"{path}/api-keys"),
        await admin_user.client.post(f"{path}/api-keys", json=NEW),
        await admin_user.client.delete(f"{path}/api-keys/{key.id}"),
        await admin_user.client.delete(path),
    ):
        assert refusal(answer) == (404, "account.not_found")
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    through = f"/v1/service-accounts/{made.json()['id']}/api-keys/{key.id}"
    assert refusal(await admin_user.client.delete(through)) == (404, "key.not_found")
    assert (await key.client.get("/v1/me")).status_code == 200


async def test_only_administrators_have_to_do_with_service_accounts(
    admin_user: User, ada: User, new_key: NewKey, system_pool: Pool
) -> None:
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    path = f"/v1/service-accounts/{made.json()['id']}"
    key = await new_key(admin_user, "account:write", at=f"{path}/api-keys")
    before = await count_rows(system_pool, "users"), await count_rows(system_pool, "api_keys")
    for method, target, body in (
        ("POST", "/v1/service-accounts", {"name": "Mine"}),
        ("GET", "/v1/service-accounts", None),
        ("DELETE", path, None),
        ("POST", f"{path}/api-keys", NEW),
        ("GET", f"{path}/api-keys", None),
        ("PATCH", f"{path}/api-keys/{key.id}", {"name": "mine"}),
        ("DELETE", f"{path}/api-keys/{key.id}", None),
    ):
        answer = await ada.client.request(method, target, json=body)
        assert refusal(answer) == (403, "auth.forbidden"), (method, target)
        answer = await key.client.request(method, target, json=body)
        assert refusal(answer) == (403, "auth.key_refused"), (method, target)
    after = await count_rows(system_pool, "users"), await count_rows(system_pool, "api_keys")
    assert after == before


async def test_an_administrator_s_key_administers_nothing(
    admin_user: User, new_key: NewKey, system_pool: Pool
) -> None:
    key = await new_key(admin_user, "account:write")
    assert (await key.client.patch("/v1/me", json={"locale": "de"})).status_code == 200
    answer = await key.client.post("/v1/service-accounts", json={"name": "Mine"})
    assert refusal(answer) == (403, "auth.key_refused")
    async with system_pool.connection() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM users WHERE kind = 'service'")


async def test_nobody_signs_in_as_a_service_account(
    hub: Running, admin_user: User, anonymous: Any
) -> None:
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    account = made.json()["id"]
    listed = (await anonymous.get("/v1/auth/development/users")).json()["items"]
    assert account not in {user["id"] for user in listed}
    answer = await anonymous.post("/v1/auth/development/sign-in", json={"user_id": account})
    assert refusal(answer) == (403, "auth.forbidden")


async def test_the_audit_log_names_the_administrator(
    admin_user: User, new_key: NewKey, system_pool: Pool
) -> None:
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    await new_key(
        admin_user, "account:read", at=f"/v1/service-accounts/{made.json()['id']}/api-keys"
    )
    entries = query(
        str,
        """SELECT actor_kind || ' ' || action || ' ' || resource_type FROM audit_log
        WHERE user_id = $1 AND endpoint LIKE 'POST /v1/service-accounts%' ORDER BY id""",
    )
    async with begin(system_pool, SYSTEM) as tx:
        found = await entries.all(tx, admin_user.id)
    assert [entry for entry in found if "profiles" not in entry] == [
        "user create users",
        "user create api_keys",
    ]
