"""The audit log over REST: administrators search it, everybody sees what concerns them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core.actor import SYSTEM
from core.db import Pool, begin
from hub.domains.accounts import service as accounts
from hub.domains.audit import service
from tests.fixtures.administrator import WithRole
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User

AUDIT = "/v1/admin/audit"
MINE = "/v1/me/audit"


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def found(admin: User, **filters: Any) -> list[dict[str, Any]]:
    answer = await admin.client.get(AUDIT, params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.mark.req("SEC-03")
async def test_a_change_is_found_by_each_of_its_facts(admin_user: User, ada: User) -> None:
    before = datetime.now(UTC)
    answer = await ada.client.patch("/v1/me", json={"full_name": "Ada King"})
    after = datetime.now(UTC)
    request_id = answer.headers["x-request-id"]
    # Beside it: their own entry of the address book, which has their name.
    (entry,) = await found(admin_user, request_id=request_id, resource_type="users")
    assert (entry["actor_id"], entry["owner_id"]) == (str(ada.id), str(ada.id))
    assert (entry["actor_kind"], entry["actor_role"]) == ("user", "user")
    assert (entry["action"], entry["resource_type"]) == ("update", "users")
    assert (entry["resource_id"], entry["endpoint"]) == (str(ada.id), "PATCH /v1/me")
    assert entry["old_values"] == {"full_name": "Ada Lovelace"}
    assert entry["new_values"] == {"full_name": "Ada King"}
    assert (entry["ip"], entry["user_agent"]) == ("127.0.0.1", ada.client.headers["user-agent"])
    name = {"resource_type": "users", "action": "update"}
    for filters in (
        {"actor_id": str(ada.id)},
        {"owner_id": str(ada.id)},
        {"resource_id": str(ada.id)},
        {"since": before.isoformat(), "until": after.isoformat()},
    ):
        ids = [item["id"] for item in await found(admin_user, **name, **filters)]
        assert ids.count(entry["id"]) == 1, filters
    for filters in (
        {"actor_id": str(admin_user.id)},
        {"owner_id": str(admin_user.id)},
        {"action": "delete"},
        {"resource_type": "rings"},
        {"resource_id": "another"},
        {"request_id": "another"},
        {"since": after.isoformat()},
        {"until": before.isoformat()},
    ):
        rest = await found(admin_user, **{"resource_id": str(ada.id), **filters})
        assert entry["id"] not in {item["id"] for item in rest}, filters


async def test_entries_page_without_a_gap_while_others_are_added(
    admin_user: User, ada: User
) -> None:
    for number in range(5):
        await ada.client.patch("/v1/me", json={"full_name": f"Ada {number}"})
    filters = {"owner_id": str(ada.id), "resource_type": "users", "action": "update", "limit": 2}
    names: list[str] = []
    cursor: str | None = None
    while True:
        asked = {**filters, "cursor": cursor} if cursor else filters
        page = (await admin_user.client.get(AUDIT, params=asked)).json()
        names += [item["new_values"]["full_name"] for item in page["items"]]
        await ada.client.patch("/v1/me", json={"full_name": f"Later {len(names)}"})
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert names == ["Ada 4", "Ada 3", "Ada 2", "Ada 1", "Ada 0"]


@pytest.mark.req("ACC-14", "SEC-03")
async def test_only_administrators_search_and_who_does_is_in_it(
    with_role: WithRole, admin_user: User, ada: User, new_key: NewKey, anonymous: Any
) -> None:
    moderator = await with_role("Barbara Liskov", "moderator")
    key = await new_key(admin_user, "account:read")
    assert refusal(await ada.client.get(AUDIT)) == (403, "auth.forbidden")
    assert refusal(await moderator.client.get(AUDIT)) == (403, "auth.forbidden")
    assert refusal(await key.client.get(AUDIT)) == (403, "auth.key_refused")
    assert refusal(await key.client.get(MINE)) == (403, "auth.key_refused")
    assert refusal(await anonymous.get(AUDIT)) == (401, "auth.required")
    await found(admin_user, owner_id=str(ada.id), action="view")
    latest, *before = await found(admin_user, resource_type="audit_log", limit=10)
    assert (latest["actor_role"], latest["endpoint"]) == ("admin", "GET /v1/admin/audit")
    assert latest["new_values"] == {"resource_type": "audit_log"}
    assert [item["new_values"] for item in before] == [{"owner_id": str(ada.id), "action": "view"}]
    assert {item["actor_id"] for item in (latest, *before)} == {str(admin_user.id)}


async def test_a_wrong_filter_is_refused_and_leaves_no_entry(
    admin_user: User, system_pool: Pool
) -> None:
    async def views() -> int:
        async with system_pool.connection() as connection:
            return await connection.fetchval("SELECT count(*) FROM audit_log WHERE action = 'view'")

    before = await views()
    for wrong, code in (
        ({"actor_id": "ada"}, "request.invalid"),
        ({"action": "steal"}, "request.invalid"),
        ({"since": "2026-01-01T00:00:00"}, "request.invalid"),
        ({"until": "yesterday"}, "request.invalid"),
        ({"resource_id": "\x00"}, "request.invalid"),
        ({"resource_type": "x" * 129}, "request.invalid"),
        ({"limit": 0}, "request.invalid"),
        ({"cursor": "x"}, "request.cursor_invalid"),
    ):
        answer = await admin_user.client.get(AUDIT, params=wrong)
        assert (answer.status_code // 100, answer.json()["code"]) == (4, code), wrong
    other = (await admin_user.client.get(MINE, params={"limit": 1})).json()["next_cursor"]
    answer = await admin_user.client.get(AUDIT, params={"cursor": other})
    assert answer.json()["code"] == "request.cursor_invalid"
    assert await views() == before


@pytest.mark.req("SEC-03")
async def test_everybody_sees_what_was_done_in_their_account_and_as_what(
    ada: User, grace: User
) -> None:
    await ada.client.patch("/v1/me", json={"full_name": "Ada King"})
    entries = (await ada.client.get(MINE)).json()["items"]
    changed = next(item for item in entries if item["endpoint"] == "PATCH /v1/me")
    assert (changed["by"], changed["ip"]) == ("me", "127.0.0.1")
    made = next(
        item for item in entries if item["resource_type"] == "users" and item["by"] == "hub"
    )
    assert (made["action"], made["ip"], made["user_agent"]) == ("create", None, None)
    assert "actor_id" not in made
    others = (await grace.client.get(MINE)).json()["items"]
    assert not {item["id"] for item in entries} & {item["id"] for item in others}
    first = (await ada.client.get(MINE, params={"limit": 2})).json()
    rest = (await ada.client.get(MINE, params={"cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == [
        item["id"] for item in entries
    ]


async def test_an_administrator_s_look_at_somebody_is_shown_to_them_without_a_name(
    hub: Running, admin_user: User, ada: User, grace: User
) -> None:
    house = hub.resources
    # So that she can look at all.
    await grace.client.post("/v1/conversations", json={"partner_id": str(ada.id)})
    for pool, who, role, kind in (
        (house.system, admin_user, "admin", "user"),
        (house.api, grace, "user", "user"),
        (house.system, grace, "user", "system"),
    ):
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(
                """SELECT
                  set_config('app.user_id', $1, true), set_config('app.role', $2, true),
                  set_config('app.actor_kind', $3, true), set_config('app.ip', '192.0.2.9', true),
                  set_config('app.request_id', 'r-1', true), set_config('app.endpoint', 'GET', true)
                """,
                str(who.id),
                role,
                kind,
            )
            await connection.execute(
                "SELECT app.audit_view('view', 'profiles', $1::uuid::text, $1::uuid, NULL)", ada.id
            )
    answer = await ada.client.get(MINE)
    views = [item for item in answer.json()["items"] if item["action"] == "view"]
    seen = [(item["by"], item["endpoint"], item["ip"], item["request_id"]) for item in views]
    # Who else sent the request by which the hub did something is nobody's business.
    assert seen == [("hub", None, None, None), ("administrator", "GET", None, None)]
    for other in (admin_user, grace):
        assert str(other.id) not in answer.text


async def test_what_an_administrator_does_as_a_friend_is_announced_to_nobody(
    admin_user: User, ada: User, system_pool: Pool
) -> None:
    async with system_pool.connection() as connection:
        await connection.execute("SELECT app.befriend($1, $2, 'request')", admin_user.id, ada.id)
    before = (await ada.client.get(MINE)).json()["items"]
    assert (await admin_user.client.delete(f"/v1/friends/{ada.id}")).status_code == 204
    assert (await ada.client.get(MINE)).json()["items"] == before
    (entry,) = await found(admin_user, owner_id=str(ada.id), action="delete")
    assert (entry["actor_id"], entry["actor_role"]) == (str(admin_user.id), "user")


@pytest.mark.req("SEC-03", "SEC-04")
async def test_what_administrators_look_at_is_on_record(admin_user: User, new_key: NewKey) -> None:
    made = await admin_user.client.post("/v1/service-accounts", json={"name": "Billing"})
    account = made.json()["id"]
    path = f"/v1/service-accounts/{account}/api-keys"
    key = await new_key(admin_user, "account:read", at=path)
    members = "/v1/admin/cohorts/staff/members"
    await admin_user.client.put("/v1/admin/cohorts/staff", json={})
    for target in ("/v1/service-accounts", path, f"{path}/{key.id}", members):
        answer = await admin_user.client.get(target)
        (entry,) = await found(admin_user, request_id=answer.headers["x-request-id"])
        assert (entry["action"], entry["actor_id"]) == ("view", str(admin_user.id)), target
        assert key.text not in str(entry)
    looked = await found(admin_user, owner_id=account, action="view")
    assert {item["resource_type"] for item in looked} == {"api_keys"}


async def test_what_cannot_be_noted_is_not_read(hub: Running) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with begin(hub.resources.api, SYSTEM, read_only=True) as tx:
            await service.note_reading(tx, "view", "users", "list")


async def test_the_latest_sign_in_is_no_entry_of_its_own_but_a_role_is(
    hub: Running, admin_user: User, ada: User
) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    async with begin(hub.resources.system, SYSTEM) as tx:
        await accounts.set_role(tx, ada.id, "moderator")
    (entry,) = await found(
        admin_user,
        resource_type="users",
        resource_id=str(ada.id),
        action="update",
        since=since.isoformat(),
    )
    assert entry["new_values"] == {"role": "moderator"}
    assert (entry["actor_kind"], entry["actor_role"]) == ("system", None)
