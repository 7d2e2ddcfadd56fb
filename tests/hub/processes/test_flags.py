"""`pinghub flags`: operators switch flags and fill cohorts."""

import json
from typing import Any
from uuid import UUID

import pytest

from core import config
from core.errors import DomainError
from hub.processes import flags
from tests.fixtures.postgres import Database, run
from tests.fixtures.world import connect, create_user


@pytest.fixture(autouse=True)
def settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config.Settings(database=config.Database(system_url=database.system_url))
    monkeypatch.setattr(config, "load", lambda: given)


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def shown(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    flags.list_flags(as_json=True)
    return output(capsys)["flags"]


@pytest.mark.req("OPS-04")
def test_a_flag_is_made_changed_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    flags.set_flag("new-cards", percentage=10, description="cards, redrawn", as_json=True)
    made = output(capsys)
    assert (made["key"], made["enabled"], made["percentage"]) == ("new-cards", False, 10)
    flags.set_flag("new-cards", enabled=True)
    assert capsys.readouterr().out == "new-cards  on  10 %  cards, redrawn\n"
    (listed,) = shown(capsys)
    assert (listed["enabled"], listed["percentage"]) == (True, 10)
    flags.list_flags()
    assert capsys.readouterr().out == "new-cards  on  10 %  cards, redrawn\n"
    flags.remove("new-cards", as_json=True)
    assert output(capsys) == {"removed": "new-cards"}
    assert shown(capsys) == []
    with pytest.raises(DomainError) as refused:
        flags.remove("new-cards")
    assert refused.value.code == "flag.not_found"


@pytest.mark.req("OPS-04")
def test_a_cohort_is_filled_named_by_a_flag_and_emptied(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make() -> list[UUID]:
        connection = await connect(database)
        try:
            users = [await create_user(connection, name) for name in ("Ada", "Grace")]
        finally:
            await connection.close()
        return sorted(users)

    users = run(make())
    flags.set_cohort("beta", tiers="pro, enterprise", description="first", as_json=True)
    assert output(capsys)["tiers"] == ["enterprise", "pro"]
    flags.add("beta", *users)
    assert capsys.readouterr().out == "2 in beta\n"
    flags.members("beta", as_json=True)
    assert [member["user_id"] for member in output(capsys)["members"]] == [*map(str, users)]
    flags.set_flag("new-cards", enabled=True, cohorts="beta")
    assert capsys.readouterr().out == "new-cards  on  0 %, beta\n"
    flags.list_cohorts()
    assert capsys.readouterr().out == "beta  enterprise, pro  first\n"
    with pytest.raises(DomainError) as refused:
        flags.remove_cohort("beta")
    assert refused.value.code == "cohort.in_use"
    flags.drop("beta", users[0], as_json=True)
    assert output(capsys) == {"dropped": [str(users[0])]}
    flags.members("beta")
    assert capsys.readouterr().out.split()[0] == str(users[1])
    flags.set_flag("new-cards", cohorts="")
    flags.remove_cohort("beta")
    assert capsys.readouterr().out.endswith("removed beta\n")


def test_of_several_users_all_or_none_join(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make() -> UUID:
        connection = await connect(database)
        try:
            return await create_user(connection, "Ada")
        finally:
            await connection.close()

    flags.set_cohort("beta")
    with pytest.raises(DomainError):
        flags.add("beta", run(make()), UUID(int=7))
    capsys.readouterr()
    flags.members("beta", as_json=True)
    assert output(capsys) == {"members": []}


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("New", {}),
        ("", {}),
        ("a b", {}),
        ("x", {"cohorts": "No"}),
        ("x", {"percentage": 101}),
        ("x", {"description": "x" * 501}),
    ],
)
def test_what_makes_no_sense_makes_no_flag(
    key: str, wrong: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DomainError) as refused:
        flags.set_flag(key, **wrong)
    assert refused.value.code == "request.invalid"
    assert shown(capsys) == []


def test_where_there_is_nothing_people_are_told_so_and_programs_find_no_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags.list_flags()
    told = capsys.readouterr()
    assert (told.out, told.err.startswith("no flags yet")) == ("", True)
    flags.list_cohorts()
    told = capsys.readouterr()
    assert (told.out, told.err.startswith("no cohorts yet")) == ("", True)
    flags.set_cohort("beta")
    capsys.readouterr()
    flags.members("beta")
    assert capsys.readouterr() == ("", "nobody was put into beta\n")
    assert shown(capsys) == []
