"""`pinghub users`: operators find people, give and take roles, and say what is paid for."""

import json
from typing import Any
from uuid import UUID

import pytest

from core import config
from core.errors import DomainError
from core.ids import new_id
from hub.processes import users
from tests.fixtures.postgres import Database, run
from tests.fixtures.world import connect, create_user


@pytest.fixture(autouse=True)
def settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config.Settings(database=config.Database(system_url=database.system_url))
    monkeypatch.setattr(config, "load", lambda: given)


@pytest.fixture
def people(database: Database) -> list[UUID]:
    async def make() -> list[UUID]:
        connection = await connect(database)
        try:
            return [await create_user(connection, name) for name in ("Ada Lovelace", "Grace 100%")]
        finally:
            await connection.close()

    return run(make())


def entries(database: Database) -> list[dict[str, Any]]:
    """Return the audit log but for the people's making."""

    async def read() -> list[dict[str, Any]]:
        connection = await connect(database)
        try:
            rows = await connection.fetch(
                "SELECT * FROM audit_log WHERE endpoint IS NOT NULL ORDER BY at, id"
            )
            return [dict(row) for row in rows]
        finally:
            await connection.close()

    return run(read())


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.req("ACC-14", "SEC-04")
def test_a_role_is_given_shown_and_taken_with_an_entry_each(
    database: Database, people: list[UUID], capsys: pytest.CaptureFixture[str]
) -> None:
    ada, _ = people
    users.grant_role(ada, "admin", as_json=True)
    assert output(capsys)["role"] == "admin"
    users.list_users(role="admin", as_json=True)
    (shown,) = output(capsys)["users"]
    assert (shown["id"], shown["role"]) == (str(ada), "admin")
    users.revoke_role(ada)
    assert f"{ada}  Ada Lovelace: user, free active, last sign-in never" in capsys.readouterr().out
    users.list_users(role="admin", as_json=True)
    assert output(capsys) == {"users": []}
    kept = [
        (entry["endpoint"], entry["action"], entry["new_values"]) for entry in entries(database)
    ]
    assert kept == [
        ("pinghub users grant-role", "update", '{"role": "admin"}'),
        ("pinghub users list", "view", '{"name": "", "role": "admin"}'),
        ("pinghub users revoke-role", "update", '{"role": "user"}'),
        ("pinghub users list", "view", '{"name": "", "role": "admin"}'),
    ]
    first = entries(database)[0]
    assert (first["actor_kind"], first["owner_id"], first["user_id"]) == ("system", ada, None)
    assert "@" in first["user_agent"], "who sat at the machine"


def test_people_are_found_by_a_part_of_their_name(
    people: list[UUID], capsys: pytest.CaptureFixture[str]
) -> None:
    for part, found in (("LOVE", people[:1]), ("0%", people[1:]), ("%", people[1:]), ("", people)):
        users.list_users(name=part, as_json=True)
        assert [user["id"] for user in output(capsys)["users"]] == [str(one) for one in found]


@pytest.mark.req("ACC-05")
def test_a_subscription_is_set(people: list[UUID], capsys: pytest.CaptureFixture[str]) -> None:
    users.set_subscription(people[0], "pro", status="past_due", as_json=True)
    changed = output(capsys)
    assert (changed["subscription_tier"], changed["subscription_status"]) == ("pro", "past_due")


def test_whom_there_is_not_and_what_is_no_person_gets_no_role(database: Database) -> None:
    async def make() -> UUID:
        connection = await connect(database)
        try:
            return await connection.fetchval(
                "INSERT INTO users (full_name, kind) VALUES ('Billing', 'service') RETURNING id"
            )
        finally:
            await connection.close()

    for nobody in (new_id(), run(make())):
        for attempt in (
            lambda who=nobody: users.grant_role(who, "admin"),
            lambda who=nobody: users.revoke_role(who),
            lambda who=nobody: users.set_subscription(who, "pro"),
        ):
            with pytest.raises(DomainError) as refused:
                attempt()
            assert refused.value.code == "request.not_found"
    assert entries(database) == []


def test_who_is_not_found_is_said_beside_the_lines(
    people: list[UUID], capsys: pytest.CaptureFixture[str]
) -> None:
    users.list_users(name="nobody of that name")
    assert capsys.readouterr() == ("", "no such account\n")
    users.list_users(name="nobody of that name", as_json=True)
    assert output(capsys) == {"users": []}
    users.list_users(name="Ada")
    told = capsys.readouterr()
    assert told.out.startswith(str(people[0]))
    assert told.err == ""
