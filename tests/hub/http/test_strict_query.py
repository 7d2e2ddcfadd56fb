"""Times in queries are read in one way, by every route that takes one."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.ids import new_id
from tests.fixtures.app import Running, User

NOT_TIMES = [
    "0.5",
    "1e3",
    "1763716200",
    "-1",
    "true",
    "now",
    "2026-11-21",
    "2026-11-21T09:30:00",
    "2026-11-21T09:30:00 01:00",  # a `+` that was sent as it is
    "2026-02-30T09:30:00Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-21T09:30:00Z\u0000",
    "\u0662\u0660\u0662\u0666-11-21T09:30:00Z",
]
NOT_DATES = ["0.5", "1", "20261121", "2026-02-30", "2026-11-21T09:30:00Z", "0000-01-01", "today"]
TIMES = [
    "2026-11-21T09:30:00Z",
    "2026-11-21T09:30:00.123+01:00",
    "0001-01-02T00:00:00Z",
    "9999-12-31T00:00:00Z",
]
DATES = ["2026-11-21", "0001-01-01", "9999-12-31"]


def times_of(hub: Running) -> Iterator[tuple[str, str, str]]:
    """Yield path, name and format of each time that a query of the document may have."""
    for path, item in hub.app.openapi_schema.to_schema()["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                form = parameter.get("schema", {}).get("format")
                if form in {"date", "date-time"}:
                    yield path, parameter["name"], form


async def ask(user: User, path: str, contact: str, **params: Any) -> httpx.Response:
    required = {"q": "x"} if path.endswith("/search/interactions") else {}
    return await user.client.get(
        path.replace("{contact_id}", contact), params={**required, **params}
    )


@pytest.mark.req("API-04")
async def test_what_is_no_time_is_refused_by_name_wherever_one_is_asked_for(
    hub: Running, admin_user: User
) -> None:
    found = list(times_of(hub))
    assert {path for path, _, _ in found} >= {"/v1/interactions", "/v1/admin/audit"}
    for path, name, form in found:
        for text in NOT_DATES if form == "date" else NOT_TIMES:
            answer = await ask(admin_user, path, str(new_id()), **{name: text})
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "request.invalid"), (path, text)
            [fault] = problem["errors"]
            assert (fault["source"], fault["field"]) == ("query", name)
            assert "2026-11-21" in fault["message"]


async def test_times_of_the_whole_calendar_are_taken(hub: Running, admin_user: User) -> None:
    made = await admin_user.client.post("/v1/contacts", json={"full_name": "Grace"})
    for path, name, form in times_of(hub):
        for text in DATES if form == "date" else TIMES:
            answer = await ask(admin_user, path, made.json()["id"], **{name: text})
            assert answer.status_code == 200, (path, name, text, answer.text)


async def test_each_time_that_is_none_is_named_also_among_others(ada: User) -> None:
    answer = await ada.client.get("/v1/interactions?since=1&until=2")
    assert {fault["field"] for fault in answer.json()["errors"]} == {"since", "until"}
    twice = await ada.client.get("/v1/interactions?since=2026-11-21T09:30:00Z&since=1")
    assert twice.json()["code"] == "request.invalid"
