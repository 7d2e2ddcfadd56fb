"""Touches over REST: passive rings that a phone reads, cards, settings, friends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from firmware_bridge import sun, sun_keys
from hub.domains.rings.service import nfc_uid_hash
from tests.fixtures.app import SUN_MASTER_KEY, Running, User, idempotency_key
from tests.fixtures.touching import Meetings, Wearer

Worn = tuple[Wearer, Wearer]
UID = bytes.fromhex("04a1b2c3d4e5f6")
CARD: dict[str, Any] = {
    "full_name": "Ada Lovelace",
    "emails": ["ada@example.com"],
    "phones": ["+44 20 7946 0000"],
    "company": "Analytical Engines",
    "job_title": "Countess",
    "urls": ["https://example.com/ada"],
    "note": "Met at the soirée",
}


@pytest.fixture
async def eve(new_user: Callable[[str], Awaitable[User]]) -> User:
    return await new_user("Eve Adams")


async def link_of(meetings: Meetings, wearer: Wearer, counter: int) -> str:
    """Return the link that the tag of a ring opens at its n-th reading."""
    index_key = meetings.hub.resources.index_key
    await meetings.admin.execute(
        "UPDATE rings SET nfc_uid_hash = $2 WHERE id = $1",
        wearer.ring_id,
        nfc_uid_hash(index_key, UID),
    )
    keys = sun_keys.tag_keys(SUN_MASTER_KEY, UID)
    return sun.make_link(
        "https://hub.example/t",
        meta_key=keys.meta,
        file_key=keys.file,
        uid=UID,
        counter=counter,
    )


async def read(user: User, link: str, **headers: str) -> Any:
    return await user.client.post("/v1/touches", json={"sun_url": link}, headers=headers)


@pytest.mark.req("RNG-04")
async def test_a_phone_that_reads_a_passive_ring_meets_its_owner(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.share(ada.user, "always")
    answer = await read(grace.user, await link_of(meetings, ada, 1))
    assert answer.status_code == 201, answer.text
    touch = answer.json()
    assert (touch["state"], touch["is_asked"], touch["ring_id"]) == ("mutual", True, None)
    confirmed = await grace.user.client.post(f"/v1/touches/{touch['id']}/confirm")
    assert confirmed.json()["partner_id"] == str(ada.user.id)
    [own] = await meetings.touches(ada.user)
    assert (own["state"], own["ring_id"]) == ("exchanged", str(ada.ring_id))
    card = (await ada.user.client.get(f"/v1/touches/{own['id']}/card")).json()
    assert card["full_name"] == "Grace Hopper"


async def test_the_same_link_is_the_same_touch_in_one_session_and_refused_in_another(
    meetings: Meetings, worn: Worn, eve: User
) -> None:
    ada, other = worn
    link = await link_of(meetings, ada, 7)
    first = await read(other.user, link)
    again = await read(other.user, link)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    refused = await read(eve, link)
    assert (refused.status_code, refused.json()["code"]) == (409, "tap.already_used")
    older = await read(other.user, await link_of(meetings, ada, 6))
    assert older.json()["code"] == "tap.already_used"
    assert len(await meetings.touches(ada.user)) == 1
    assert await meetings.touches(eve) == []


async def test_a_link_that_is_no_address_is_refused_like_any_other(ada: User) -> None:
    for link in ("https://[hub/?picc_data=00&cmac=00", "https://hub]/?picc_data=00&cmac=00"):
        answer = await read(ada, link)
        assert (answer.status_code, answer.json()["code"]) == (403, "tap.refused")


async def test_more_requests_at_once_than_connections_do_not_wait_for_each_other(
    meetings: Meetings, worn: Worn
) -> None:
    ada, other = worn
    link = await link_of(meetings, ada, 7)
    await read(other.user, link)
    at_once = 2 * meetings.hub.resources.settings.database.pool_max
    async with asyncio.timeout(10):
        answers = await asyncio.gather(
            *(read(other.user, link, **idempotency_key()) for _ in range(at_once))
        )
    assert {answer.status_code for answer in answers} == {201}


async def test_a_retry_with_its_key_gets_the_first_answer(meetings: Meetings, worn: Worn) -> None:
    ada, grace = worn
    link, key = await link_of(meetings, ada, 1), idempotency_key()
    first = await read(grace.user, link, **key)
    again = await read(grace.user, link, **key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (first.content, first.headers["Location"]) == (again.content, again.headers["Location"])
    other = await read(grace.user, await link_of(meetings, ada, 2), **key)
    assert other.json()["code"] == "idempotency.mismatch"


@pytest.mark.parametrize(
    "link",
    [
        "https://hub.example/t",
        "https://hub.example/t?picc_data=00&cmac=00",
        "https://x/?" + "a" * 400,
    ],
)
async def test_a_link_that_is_not_genuine_is_refused_and_leaves_nothing(
    meetings: Meetings, worn: Worn, link: str
) -> None:
    answer = await read(worn[0].user, link)
    assert (answer.status_code, answer.json()["code"]) == (403, "tap.refused")
    assert await meetings.admin.fetchval("SELECT count(*) FROM touches") == 0


async def test_reading_ones_own_ring_exchanges_nothing(meetings: Meetings, worn: Worn) -> None:
    ada, _ = worn
    await meetings.share(ada.user, "always")
    answer = await read(ada.user, await link_of(meetings, ada, 1))
    assert (answer.json()["state"], answer.json()["is_asked"]) == ("mutual", False)
    assert (await ada.user.client.get("/v1/friends")).json()["items"] == []


async def test_a_card_is_kept_sealed_and_read_back_as_it_was(
    meetings: Meetings, ada: User, grace: User
) -> None:
    before = (await ada.client.get("/v1/me/card")).json()
    assert (before["full_name"], before["emails"]) == ("Ada Lovelace", [])
    assert (await ada.client.put("/v1/me/card", json=CARD)).json() == CARD
    assert (await ada.client.get("/v1/me/card")).json() == CARD
    stored = await meetings.admin.fetchval("SELECT card FROM contact_cards")
    assert b"Ada" not in stored
    assert b"example.com" not in stored
    assert (await grace.client.get("/v1/me/card")).json()["full_name"] == "Grace Hopper"


@pytest.mark.parametrize(
    "change",
    [
        {"full_name": ""},
        {"full_name": "x" * 121},
        {"full_name": "a\nb"},
        {"emails": ["nobody"]},
        {"emails": ["a@b"] * 6},
        {"phones": ["call me"]},
        {"urls": ["javascript:alert(1)"]},
        {"note": "x" * 1001},
        {"more": 1},
    ],
)
async def test_a_card_that_is_none_is_refused(ada: User, change: dict[str, Any]) -> None:
    answer = await ada.client.put("/v1/me/card", json=CARD | change)
    assert answer.status_code in (400, 422), answer.text
    assert (await ada.client.get("/v1/me/card")).json()["emails"] == []


@pytest.mark.req("ACC-07")
async def test_who_has_set_nothing_is_asked(ada: User) -> None:
    assert (await ada.client.get("/v1/me/privacy")).json() == {"share_on_tap": "ask"}
    answer = await ada.client.patch("/v1/me/privacy", json={"share_on_tap": "never"})
    assert answer.json() == {"share_on_tap": "never"}
    assert (await ada.client.patch("/v1/me/privacy", json={})).json() == answer.json()
    wrong = await ada.client.patch("/v1/me/privacy", json={"share_on_tap": "sometimes"})
    assert wrong.status_code in (400, 422)
    assert (await ada.client.get("/v1/me/privacy")).json() == answer.json()


async def test_touches_come_in_pages_and_only_ones_own(
    meetings: Meetings, worn: Worn, eve: User
) -> None:
    for _ in range(3):
        await meetings.meet(*meetings.touch(*worn))
    client = worn[0].user.client
    first = (await client.get("/v1/touches", params={"limit": 2})).json()
    rest = (await client.get("/v1/touches", params={"cursor": first["next_cursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["has_more"]) == (2, 1, False)
    touch = first["items"][0]["id"]
    assert (await client.get(f"/v1/touches/{touch}")).json() == first["items"][0]
    for method, path in (
        ("GET", f"/v1/touches/{touch}"),
        ("GET", f"/v1/touches/{touch}/card"),
        ("POST", f"/v1/touches/{touch}/confirm"),
        ("POST", f"/v1/touches/{touch}/decline"),
    ):
        for user in (worn[1].user, eve):
            answer = await user.client.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "touch.not_found")


async def test_a_friendship_ends_on_both_sides(meetings: Meetings, worn: Worn) -> None:
    for wearer in worn:
        await meetings.share(wearer.user, "always")
    await meetings.meet(*meetings.touch(*worn))
    counts = "SELECT sum(friends_count) FROM profiles"
    assert await meetings.admin.fetchval(counts) == 2
    ada, grace = (wearer.user for wearer in worn)
    assert (await ada.client.delete(f"/v1/friends/{grace.id}")).status_code == 204
    assert (await grace.client.get("/v1/friends")).json()["items"] == []
    assert await meetings.admin.fetchval(counts) == 0
    again = await ada.client.delete(f"/v1/friends/{grace.id}")
    assert (again.status_code, again.json()["code"]) == (404, "friend.not_found")


async def test_whom_one_blocks_is_a_list_of_ones_own(ada: User, grace: User, hub: Running) -> None:
    del hub
    for _ in range(2):  # again is harmless
        assert (await ada.client.put(f"/v1/blocks/{grace.id}")).status_code == 204
    [block] = (await ada.client.get("/v1/blocks")).json()["items"]
    assert block["user_id"] == str(grace.id)
    assert (await grace.client.get("/v1/blocks")).json()["items"] == []
    assert (await ada.client.delete(f"/v1/blocks/{grace.id}")).status_code == 204
    assert (await ada.client.get("/v1/blocks")).json()["items"] == []
    for nobody in (ada.id, uuid4()):
        answer = await ada.client.put(f"/v1/blocks/{nobody}")
        assert (answer.status_code, answer.json()["code"]) == (404, "friend.not_found")
