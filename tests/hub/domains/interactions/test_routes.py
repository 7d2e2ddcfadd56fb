"""The timeline over REST: what one notes down, what is told, and who sees what of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.interactions import service
from hub.domains.interactions.schemas import NewInteraction
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User, idempotency_key

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def note(user: User, **fields: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/interactions", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def page(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/v1/interactions", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def subjects(client: httpx.AsyncClient, **params: Any) -> list[str]:
    return [item["subject"] for item in (await page(client, **params))["items"]]


async def found(client: httpx.AsyncClient, q: str, **params: Any) -> dict[str, Any]:
    answer = await client.get("/v1/search/interactions", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def contact(admin: Any, owner: User, name: str) -> UUID:
    return await admin.fetchval(
        "INSERT INTO contacts (user_id, full_name) VALUES ($1, $2) RETURNING id", owner.id, name
    )


@pytest_asyncio.fixture
async def told(hub: Running, ada: User) -> UUID:
    """Return an interaction of Ada's that a source told of."""
    mail = NewInteraction(
        kind="email", occurred_at=NOON, source="gmail", external_id="1", subject="Invoice"
    )
    async with begin(hub.resources.system, SYSTEM) as tx:
        made = await service.record(tx, mail, owner_id=ada.id)
    assert made is not None
    return made


@pytest.mark.req("INT-01")
async def test_what_one_notes_down_is_there_with_everybody_who_was_part(
    ada: User, admin: Any
) -> None:
    grace = await contact(admin, ada, "Grace")
    made = await note(
        ada,
        contact_id=str(grace),
        kind="meeting",
        subject="Coffee",
        content="Compilers.",
        sentiment=0.5,
        occurred_at=NOON.isoformat(),
        duration_seconds=1800,
        participants=[
            {"role": "organizer", "contact_id": str(grace)},
            {"role": "attendee", "address": "Alan <Alan@Example.com>"},
        ],
    )
    got = await ada.client.get(f"/v1/interactions/{made['id']}")
    assert got.json() == made
    assert (made["source"], made["direction"], made["is_private"]) == ("manual", "mutual", False)
    assert [(who["role"], who["address"]) for who in made["participants"]] == [
        ("organizer", None),
        ("attendee", "Alan <Alan@Example.com>"),
    ]
    row = await admin.fetchrow("SELECT * FROM interaction_participants WHERE address IS NOT NULL")
    assert b"Alan" not in row["address"]
    assert b"alan" not in row["address_hash"]


async def test_an_address_of_the_address_book_is_whose_it_is(ada: User, hub: Running) -> None:
    answer = await ada.client.post(
        "/v1/contacts",
        json={"full_name": "Grace", "methods": [{"kind": "email", "value": "grace@example.com"}]},
    )
    grace = answer.json()["id"]
    made = await note(ada, participants=[{"role": "from", "address": "GRACE@example.com"}])
    assert made["contact_id"] == made["participants"][0]["contact_id"] == grace


async def test_a_key_of_idempotency_makes_one(ada: User) -> None:
    headers = idempotency_key()
    answers = [
        await ada.client.post("/v1/interactions", json={"subject": "Once"}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert await subjects(ada.client) == ["Once"]


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"occurred_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, "request.invalid"),
    ({"occurred_at": "2026-11-20T12:00:00"}, "request.invalid"),
    ({"sentiment": 2}, "request.invalid"),
    ({"duration_seconds": -1}, "request.invalid"),
    ({"subject": " "}, "request.invalid"),
    ({"content": "a\u0000b"}, "request.invalid"),
    ({"content": "x" * 100_001}, "request.invalid"),
    ({"kind": "telepathy"}, "request.invalid"),
    ({"contact_id": str(new_id())}, "contact.not_found"),
    ({"participants": [{"role": "from"}]}, "request.invalid"),
    ({"participants": [{"role": "from", "address": "nobody"}]}, "request.invalid"),
    ({"participants": [{"role": "from", "contact_id": str(new_id())}]}, "contact.not_found"),
    ({"source": "gmail"}, "request.invalid"),
]


async def test_what_cannot_have_been_is_refused_and_leaves_nothing(ada: User) -> None:
    for fields, code in IMPOSSIBLE:
        answer = await ada.client.post("/v1/interactions", json=fields)
        assert answer.json()["code"] == code, answer.text
    assert await subjects(ada.client) == []


async def test_a_contact_of_somebody_else_is_nobody(ada: User, grace: User, admin: Any) -> None:
    hers = await contact(admin, grace, "Alan")
    answer = await ada.client.post("/v1/interactions", json={"contact_id": str(hers)})
    assert (answer.status_code, answer.json()["code"]) == (404, "contact.not_found")


@pytest.mark.req("INT-03", "INT-04")
async def test_the_timeline_is_narrowed_by_time_contact_kind_direction_and_words(
    ada: User, admin: Any
) -> None:
    grace, alan = await contact(admin, ada, "Grace"), await contact(admin, ada, "Alan")
    facts: list[tuple[str, UUID | None, str, str, list[dict[str, str]]]] = [
        ("first", grace, "call", "inbound", []),
        ("second", alan, "call", "outbound", []),
        ("third", alan, "meeting", "mutual", [{"role": "attendee", "contact_id": str(grace)}]),
        ("fourth", None, "email", "outbound", []),
    ]
    for hour, (subject, who, kind, direction, participants) in enumerate(facts):
        await note(
            ada,
            subject=subject,
            contact_id=str(who) if who else None,
            kind=kind,
            direction=direction,
            occurred_at=(NOON + timedelta(hours=hour)).isoformat(),
            participants=participants,
        )
    one, three = ((NOON + timedelta(hours=hour)).isoformat() for hour in (1, 3))
    for wanted, expected in (
        ({}, ["fourth", "third", "second", "first"]),
        ({"since": one, "until": three}, ["third", "second"]),
        ({"contact_id": grace}, ["third", "first"]),
        ({"contact_id": alan, "kind": "call"}, ["second"]),
        ({"kind": "call"}, ["second", "first"]),
        ({"direction": "outbound"}, ["fourth", "second"]),
        ({"kind": "call", "direction": "inbound"}, ["first"]),
        ({"text": "third"}, ["third"]),
        ({"text": "third", "kind": "call"}, []),
        ({"text": "first or third", "contact_id": grace}, ["third", "first"]),
        ({"contact_id": grace, "since": one}, ["third"]),
    ):
        assert await subjects(ada.client, **wanted) == expected, wanted
        counted = await page(ada.client, **wanted, count=True)
        assert counted["total"] == {"count": len(expected), "is_capped": False}, wanted
        walked: list[str] = []
        cursor: str | None = None
        for _ in expected or [None]:
            step = await page(
                ada.client, **wanted, limit=1, **({"cursor": cursor} if cursor else {})
            )
            walked += [item["subject"] for item in step["items"]]
            cursor = step["next_cursor"]
        assert (walked, cursor) == (expected, None), wanted


async def test_equal_times_are_all_listed_once(ada: User) -> None:
    for number in range(5):
        await note(ada, subject=str(number), occurred_at=NOON.isoformat())
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        step = await page(ada.client, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["subject"] for item in step["items"]]
        cursor = step["next_cursor"]
    assert seen == ["4", "3", "2", "1", "0"]


async def test_more_than_ten_thousand_are_not_counted(ada: User, admin: Any) -> None:
    await admin.execute("ALTER TABLE interactions DISABLE TRIGGER USER")
    await admin.execute(
        """INSERT INTO interactions (user_id, kind, occurred_at, subject)
        SELECT $1, 'call', now(), 'same' FROM generate_series(1, 10001)""",
        ada.id,
    )
    for wanted in ({}, {"text": "same"}):
        total = (await page(ada.client, limit=1, count=True, **wanted))["total"]
        assert total == {"count": 10_000, "is_capped": True}


async def test_times_without_zone_and_foreign_cursors_are_refused(ada: User) -> None:
    for wanted, code in (
        ({"since": "2026-11-20T12:00:00"}, "request.invalid"),
        ({"cursor": "no"}, "request.cursor_invalid"),
    ):
        answer = await ada.client.get("/v1/interactions", params=wanted)
        assert answer.json()["code"] == code


async def test_the_timeline_of_nobody_is_no_empty_one(ada: User) -> None:
    for path in ("/v1/interactions?text=x&", "/v1/interactions?", "/v1/search/interactions?q=x&"):
        answer = await ada.client.get(f"{path}contact_id={new_id()}")
        assert answer.json()["code"] == "contact.not_found", path


@pytest.mark.req("INT-06")
async def test_a_search_shows_where_the_words_stand(ada: User) -> None:
    await note(ada, subject="Café with Grace", content="She knows compilers.")
    await note(ada, subject="Tea", content="No compilers.")
    hits = (await found(ada.client, "cafe compilers"))["items"]
    assert [hit["interaction"]["subject"] for hit in hits] == ["Café with Grace"]
    assert [
        (item["field"], [piece["text"] for piece in item["pieces"] if piece["is_match"]])
        for item in hits[0]["highlights"]
    ] == [("subject", ["Café"]), ("content", ["compilers"])]
    assert len((await found(ada.client, "compilers -tea", count=True))["items"]) == 1
    assert (await found(ada.client, "- ' &"))["items"] == []


async def test_rare_words_of_long_ago_and_frequent_ones_are_found_in_order(
    ada: User, admin: Any
) -> None:
    grace, alan = await contact(admin, ada, "Grace"), await contact(admin, ada, "Alan")
    await admin.execute("ALTER TABLE interactions DISABLE TRIGGER USER")
    await admin.execute(
        """WITH told AS (
          INSERT INTO interactions (user_id, contact_id, kind, occurred_at, subject)
          SELECT $1, $3, 'call', $2::timestamptz - n * interval '1 minute',
            CASE WHEN n IN (2, 6000, 6001) THEN 'often rare' ELSE 'often' END
          FROM generate_series(1, 6001) AS n
          RETURNING id, subject
        )
        INSERT INTO interaction_participants (user_id, interaction_id, contact_id, role)
        SELECT $1, id, $4, 'attendee' FROM told WHERE subject = 'often rare'""",
        ada.id,
        NOON,
        grace,
        alan,
    )
    # Of Alan there are few, of Grace more than are looked at one by one.
    for who in ({}, {"contact_id": grace}, {"contact_id": alan}):
        often = [2, 6000, 6001] if alan in who.values() else [1, 2, 3, 4]
        for word, expected in (("rare", [2, 6000, 6001]), ("often", often)):
            hits = (await found(ada.client, word, limit=4, **who))["items"]
            times = [datetime.fromisoformat(hit["interaction"]["occurred_at"]) for hit in hits]
            assert times == [NOON - timedelta(minutes=n) for n in expected], (who, word)
        first = await found(ada.client, "rare", limit=1, count=True, **who)
        assert first["total"]["count"] == 3
        rest = await found(ada.client, "rare", cursor=first["next_cursor"], **who)
        assert len(rest["items"]) == 2
        assert rest["next_cursor"] is None


async def test_a_change_is_made_to_what_was_read(ada: User) -> None:
    made = await note(ada, subject="Coffee", content="Old")
    path = f"/v1/interactions/{made['id']}"
    tag = (await ada.client.get(path)).headers["etag"]
    changed = await ada.client.patch(
        path,
        json={"subject": "Tea", "content": None, "participants": []},
        headers={"If-Match": tag},
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["subject"], changed.json()["content"]) == ("Tea", None)
    late = await ada.client.patch(path, json={"subject": "Milk"}, headers={"If-Match": tag})
    assert late.json()["code"] == "request.precondition_failed"
    assert await subjects(ada.client) == ["Tea"]


async def test_participants_are_replaced_as_a_whole(ada: User) -> None:
    made = await note(ada, participants=[{"role": "from", "address": "a@example.com"}])
    answer = await ada.client.patch(
        f"/v1/interactions/{made['id']}",
        json={
            "participants": [{"role": "to", "address_kind": "phone", "address": "+49 30 901820"}]
        },
    )
    assert [who["address"] for who in answer.json()["participants"]] == ["+49 30 901820"]


async def test_what_a_source_told_stays_as_it_was_told(ada: User, admin: Any, told: UUID) -> None:
    path = f"/v1/interactions/{told}"
    refusals: list[dict[str, Any]] = [
        {"subject": "Mine"},
        {"participants": []},
        {"is_private": True, "kind": "sms"},
    ]
    for refused in refusals:
        answer = await ada.client.patch(path, json=refused)
        assert (answer.status_code, answer.json()["code"]) == (409, "interaction.not_manual")
    assert (await ada.client.delete(path)).json()["code"] == "interaction.not_manual"
    grace = await contact(admin, ada, "Grace")
    assigned = await ada.client.patch(path, json={"contact_id": str(grace), "is_private": True})
    assert assigned.json()["contact_id"] == str(grace)
    assert assigned.json()["is_private"] is True
    assert assigned.json()["subject"] == "Invoice"


async def test_what_is_taken_away_is_gone_with_its_participants(ada: User, admin: Any) -> None:
    made = await note(ada, participants=[{"role": "from", "address": "a@example.com"}])
    path = f"/v1/interactions/{made['id']}"
    assert (await ada.client.delete(path)).status_code == 204
    for answer in (await ada.client.get(path), await ada.client.delete(path)):
        assert answer.json()["code"] == "interaction.not_found"
    assert await admin.fetchval("SELECT count(*) FROM interaction_participants") == 0


async def test_a_contacts_last_time_follows_what_is_changed_and_taken_away(
    ada: User, admin: Any
) -> None:
    grace, alan = await contact(admin, ada, "Grace"), await contact(admin, ada, "Alan")

    async def last() -> list[datetime | None]:
        rows = await admin.fetch(
            "SELECT last_interaction_at FROM contacts WHERE id = ANY ($1) ORDER BY id",
            [grace, alan],
        )
        return [row["last_interaction_at"] for row in rows]

    one, two = [
        await note(ada, contact_id=str(grace), occurred_at=(NOON + timedelta(hours=n)).isoformat())
        for n in (1, 2)
    ]
    latest = f"/v1/interactions/{two['id']}"
    assert await last() == [NOON + timedelta(hours=2), None]
    await ada.client.patch(latest, json={"contact_id": str(alan)})
    assert await last() == [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    await ada.client.patch(latest, json={"occurred_at": NOON.isoformat()})
    assert await last() == [NOON + timedelta(hours=1), NOON]
    await ada.client.delete(latest)
    await ada.client.delete(f"/v1/interactions/{one['id']}")
    assert await last() == [None, None]


@pytest.mark.req("INT-03")
async def test_of_a_private_interaction_no_key_learns_anything(
    ada: User, admin: Any, new_key: NewKey
) -> None:
    grace = await contact(admin, ada, "Grace")
    hidden = await note(
        ada,
        subject="secret",
        is_private=True,
        contact_id=str(grace),
        participants=[{"role": "from", "address": "a@example.com"}],
    )
    shown = await note(ada, subject="open", contact_id=str(grace))
    key = (await new_key(ada, "interactions:read", "interactions:write")).client
    assert await subjects(key) == ["open"]
    assert await subjects(key, contact_id=grace) == ["open"]
    assert (await page(key, count=True))["total"]["count"] == 1
    assert (await found(key, "secret"))["items"] == []
    assert (await found(key, "secret", contact_id=grace))["items"] == []
    path = f"/v1/interactions/{hidden['id']}"
    for answer in (
        await key.get(path),
        await key.patch(path, json={"subject": "known"}),
        await key.delete(path),
    ):
        assert answer.json()["code"] == "interaction.not_found"
    insight = (await key.get(f"/v1/contacts/{grace}/intelligence")).json()
    assert insight["frequency"]["interactions"] == 1
    for answer in (
        await key.post("/v1/interactions", json={"is_private": True}),
        await key.patch(f"/v1/interactions/{shown['id']}", json={"is_private": True}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
    assert await subjects(ada.client) == ["open", "secret"]


async def test_of_others_one_sees_and_finds_nothing(ada: User, grace: User) -> None:
    made = await note(ada, subject="mine")
    assert await subjects(grace.client) == []
    assert (await found(grace.client, "mine"))["items"] == []
    answer = await grace.client.get(f"/v1/interactions/{made['id']}")
    assert answer.json()["code"] == "interaction.not_found"


async def test_the_paths_of_the_documents_lead_to_the_same(ada: User, admin: Any) -> None:
    grace = await contact(admin, ada, "Grace")
    await note(ada, subject="mine", contact_id=str(grace))
    for alias, path in (
        ("/api/events", "/v1/interactions"),
        ("/api/search/events?q=mine", "/v1/search/interactions?q=mine"),
        (f"/api/contacts/{grace}/intelligence", f"/v1/contacts/{grace}/intelligence"),
    ):
        by_alias = await ada.client.get(alias)
        assert by_alias.status_code == 200, by_alias.text
        assert by_alias.json() == (await ada.client.get(path)).json()
