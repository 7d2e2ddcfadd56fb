"""Odd searches, forged cursors and times at the ends of the calendar: answers, never failures."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from core.ids import new_id
from hub.domains.interactions.service import INTERACTIONS_LISTING
from hub.http.page import encode_cursor
from tests.fixtures.app import User

# Hebrew, from right to left, with a mark that turns the direction.
SHALOM = "\u05e9\u05dc\u05d5\u05dd"
ODD_SEARCHES: list[tuple[str, list[str]]] = [
    ("a", ["one"]),
    ("the", ["one"]),
    ('"', []),
    ('"the a', ["one"]),
    ("the' OR 1=1 --", ["one"]),
    ("nowhere'; DROP TABLE interactions --", []),
    ("& | ! <-> ( ) : *", []),
    ("-", []),
    ("-the", ["marks", "rtl"]),
    ("or or or", []),
    ("\u202e" + SHALOM, ["rtl"]),
    ("o\u200bn\u2060\ufeffe", ["one"]),
    ("\u200f-\u200eone\u061c", ["marks", "rtl"]),
    ("zusammenarbeit", ["marks"]),
    ("zusam\u00admenarbeit \u039d\u0399\u039a\u039f\u03a3", ["marks"]),
    ("\u03bd\u03b9\u03ba\u03bf\u03c2", ["marks"]),
    ("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), []),
    ("%_\\", []),
    ("a " * 100, ["one"]),
]


async def note(user: User, **fields: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/interactions", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.req("INT-06")
async def test_odd_searches_are_answered(ada: User) -> None:
    await note(ada, subject="one", content="The a.")
    await note(ada, subject="rtl", content=f"{SHALOM} \u05e2\u05d5\u05dc\u05dd")
    await note(ada, subject="marks", content="\u039d\u03af\u03ba\u03bf\u03c2, Zusammen\u00adarbeit")
    for wanted, expected in ODD_SEARCHES:
        for path, name in (("/v1/search/interactions", "q"), ("/v1/interactions", "text")):
            answer = await ada.client.get(path, params={name: wanted, "count": True})
            assert answer.status_code == 200, (wanted, answer.text)
            items = answer.json()["items"]
            shown = [item.get("interaction", item)["subject"] for item in items]
            assert (shown, answer.json()["total"]["count"]) == (expected, len(expected)), wanted


async def test_searches_that_are_none_are_refused(ada: User) -> None:
    for wanted in ("", "a\u0000b", "x" * 201, "x" * 10_000):
        for path, name in (("/v1/search/interactions", "q"), ("/v1/interactions", "text")):
            answer = await ada.client.get(path, params={name: wanted})
            assert answer.json()["code"] == "request.invalid", wanted[:9]


async def test_of_long_contents_all_is_found_and_the_beginning_shown(ada: User) -> None:
    word, long = "needle", "lorem ipsum " * 8300
    late = await note(ada, subject="late", content=f"{long[:99_990]} {word}")
    early = await note(ada, subject="early", content=f"{'x' * 19_000} {word} {long[:80_000]}")
    assert len(late["content"]) > 99_000
    answer = await ada.client.get("/v1/search/interactions", params={"q": word})
    hits = {hit["interaction"]["subject"]: hit["highlights"] for hit in answer.json()["items"]}
    assert set(hits) == {"late", "early"}
    assert hits["late"] == []
    [shown] = hits["early"]
    assert [piece["text"] for piece in shown["pieces"] if piece["is_match"]] == [word]
    assert len(answer.content) < 3000
    got = await ada.client.get(f"/v1/interactions/{early['id']}")
    assert got.json()["content"] == early["content"]


EDGES = (
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
)


async def test_times_at_the_ends_of_the_calendar_are_times_or_refused(ada: User) -> None:
    await note(ada, subject="one")
    for at in EDGES:
        for name in ("since", "until"):
            for path in ("/v1/interactions?count=true&", "/v1/search/interactions?q=one&"):
                answer = await ada.client.get(path, params={name: at.isoformat()})
                assert answer.status_code in {200, 422}, (path, name, at, answer.text)
        answer = await ada.client.post("/v1/interactions", json={"occurred_at": at.isoformat()})
        assert answer.status_code in {201, 422}, (at, answer.text)


async def test_a_forged_cursor_is_a_place_of_ones_own_list_or_refused(
    ada: User, grace: User
) -> None:
    await note(grace, subject="hers")
    mine = await note(ada, subject="mine")
    forged: list[tuple[Any, ...]] = [
        (),
        (1,),
        ("2026-11-20T12:00:00", str(new_id())),
        ("2026-11-20T12:00:00Z", "no id"),
        ("2026-11-20T12:00:00Z", str(new_id()), 1),
        (2**63, str(new_id())),
        (-(2**62), str(new_id())),
        (float("nan"), str(new_id())),
        *((at.isoformat(), str(new_id())) for at in EDGES),
    ]
    cursors = [encode_cursor(INTERACTIONS_LISTING, key) for key in forged]
    cursors += [
        encode_cursor("contacts", (datetime.now(UTC), new_id())),
        "A",
        "=",
        "\u00e4",
        "x" * 10_000,
    ]
    until = datetime.now(UTC).isoformat()
    for cursor in cursors:
        for path in (
            "/v1/interactions",
            "/v1/interactions?kind=manual",
            "/v1/interactions?text=mine",
            f"/v1/interactions?until={until.replace('+', '%2B')}",
        ):
            answer = await ada.client.get(path, params={"cursor": cursor})
            if answer.status_code == 200:
                assert {item["id"] for item in answer.json()["items"]} <= {mine["id"]}
            else:
                assert answer.json()["code"] == "request.cursor_invalid", (cursor, answer.text)
