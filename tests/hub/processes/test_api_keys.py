"""`pinghub api-key`: operators make, list and end keys of any account."""

import json
from typing import Any
from uuid import UUID

import pytest

from core import api_key, config
from core.errors import DomainError
from hub.http.scopes import MEANINGS
from hub.processes import api_keys
from tests.fixtures.postgres import Database, run
from tests.fixtures.world import connect, create_user


@pytest.fixture(autouse=True)
def settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config.Settings(database=config.Database(system_url=database.system_url))
    monkeypatch.setattr(config, "load", lambda: given)


@pytest.fixture
def user(database: Database) -> UUID:
    async def make() -> UUID:
        connection = await connect(database)
        try:
            return await create_user(connection, "Ada Lovelace")
        finally:
            await connection.close()

    return run(make())


def output(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_key_of_a_user_is_made_listed_and_ended(
    user: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    api_keys.create("report", scopes="taps:read, rings:read", account=user, days=30, as_json=True)
    made = output(capsys)
    assert api_key.read(made["key"]).prefix == made["prefix"]
    assert (made["user_id"], made["scopes"]) == (str(user), ["rings:read", "taps:read"])
    api_keys.list_keys(as_json=True)
    text = capsys.readouterr().out
    (listed,) = json.loads(text)["keys"]
    assert (listed["prefix"], listed["account_kind"]) == (made["prefix"], "person")
    assert made["key"] not in text
    api_keys.revoke(made["prefix"], as_json=True)
    assert output(capsys) == {"id": made["id"]}
    api_keys.list_keys(account=user, as_json=True)
    assert output(capsys) == {"keys": []}
    with pytest.raises(DomainError) as refused:
        api_keys.revoke(made["prefix"])
    assert refused.value.code == "key.not_found"


def test_a_service_account_comes_with_its_first_key(capsys: pytest.CaptureFixture[str]) -> None:
    api_keys.create("first", scopes="messages:write", new_account="Billing")
    key, told = capsys.readouterr()
    assert api_key.read(key.strip()).prefix in told
    assert key.strip() not in told
    api_keys.list_keys()
    line = capsys.readouterr().out
    assert "service" in line
    assert "never used" in line
    assert "messages:write" in line


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": "*"},
        {"scopes": ""},
        {"name": ""},
        {"account": None},
        {"new_account": "both"},
        {"account": UUID(int=1)},
        {"account": None, "new_account": "\n"},
    ],
)
def test_what_makes_no_sense_makes_no_key(
    user: UUID, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    given = {"name": "report", "scopes": "taps:read", "account": user} | wrong
    with pytest.raises(DomainError) as refused:
        api_keys.create(given.pop("name"), **given)
    assert refused.value.code in {"request.invalid", "request.not_found"}
    if wrong.get("scopes") == "*":
        assert all(scope in refused.value.detail for scope in MEANINGS)
    api_keys.list_keys(as_json=True)
    assert output(capsys) == {"keys": []}
