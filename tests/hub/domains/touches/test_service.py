"""Two records that name each other become one touch; cards go over when both owners agree."""

import asyncio

import msgspec
import pytest

from core.actor import SYSTEM
from core.db import begin, query
from core.errors import DomainError
from hub.domains.touches import service
from tests.fixtures.touching import Meetings
from tests.hub.domains.touches.steps import EXCHANGED, Worn, share_always, states

BACKEND = query(int, "SELECT pg_backend_pid()", login="system")


@pytest.mark.req("RNG-01", "RNG-04")
@pytest.mark.parametrize("first", [0, 1])
async def test_two_who_always_share_have_each_others_card_when_both_records_are_there(
    meetings: Meetings, worn: Worn, first: int
) -> None:
    ada, grace = worn
    await share_always(meetings, worn)
    card = {"full_name": "Countess of Lovelace", "emails": ["ada@example.com"], "company": "AE"}
    assert (await ada.user.client.put("/v1/me/card", json=card)).status_code == 200
    records = meetings.touch(ada, grace)
    await meetings.meet(records[first], records[1 - first])
    assert await states(meetings, worn) == [["exchanged"], ["exchanged"]]
    [[mine], [theirs]] = [await meetings.touches(wearer.user) for wearer in worn]
    assert (mine["partner_id"], theirs["partner_id"]) == (str(grace.user.id), str(ada.user.id))
    assert mine["conversation_id"] == theirs["conversation_id"]
    seen = (await grace.user.client.get(f"/v1/touches/{theirs['id']}/card")).json()
    assert {name: seen[name] for name in card} == card
    seen = (await ada.user.client.get(f"/v1/touches/{mine['id']}/card")).json()
    assert seen["full_name"] == "Grace Hopper"
    for wearer, other in ((ada, grace), (grace, ada)):
        [friend] = (await wearer.user.client.get("/v1/friends")).json()["items"]
        assert (friend["friend_id"], friend["source"]) == (str(other.user.id), "ring_tap")
        assert sorted(await meetings.told(wearer.user)) == sorted(EXCHANGED)
        [talk] = (await wearer.user.client.get("/v1/conversations")).json()["items"]
        assert talk["id"] == mine["conversation_id"]
    assert await meetings.admin.fetchval("SELECT count(*) FROM ring_taps WHERE state='exchanged'")


async def test_by_default_both_are_asked_and_nothing_goes_over_before_both_agree(
    meetings: Meetings, worn: Worn
) -> None:
    await meetings.meet(*meetings.touch(*worn))
    for number, wearer in enumerate(worn):
        [touch] = await meetings.touches(wearer.user)
        assert (touch["state"], touch["is_asked"], touch["partner_id"]) == ("mutual", True, None)
        card = await wearer.user.client.get(f"/v1/touches/{touch['id']}/card")
        assert card.json()["code"] == "touch.not_exchanged"
        for _ in range(2):  # a repeated word changes nothing
            answer = await wearer.user.client.post(f"/v1/touches/{touch['id']}/confirm")
            assert answer.status_code == 200
        assert answer.json()["state"] == ("mutual", "exchanged")[number]
    assert await states(meetings, worn) == [["exchanged"], ["exchanged"]]


@pytest.mark.parametrize(
    ("settings", "then"),
    [
        (("always", "ask"), "mutual"),
        (("always", "never"), "mutual"),
        (("ask", "never"), "mutual"),
        (("never", "never"), "mutual"),
    ],
)
async def test_one_who_does_not_share_is_enough_to_keep_both_cards_at_home(
    meetings: Meetings, worn: Worn, settings: tuple[str, str], then: str
) -> None:
    for wearer, setting in zip(worn, settings, strict=True):
        await meetings.share(wearer.user, setting)
    await meetings.meet(*meetings.touch(*worn))
    assert await states(meetings, worn) == [[then], [then]]
    for wearer, setting in zip(worn, settings, strict=True):
        [touch] = await meetings.touches(wearer.user)
        assert touch["is_asked"] is (setting == "ask")
        if setting == "never":
            answer = await wearer.user.client.post(f"/v1/touches/{touch['id']}/confirm")
            assert answer.json()["code"] == "touch.closed"


async def test_what_a_user_changes_before_the_last_word_holds(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.share(ada.user, "always")
    await meetings.meet(*meetings.touch(ada, grace))
    await meetings.share(ada.user, "never")
    [touch] = await meetings.touches(grace.user)
    await grace.user.client.post(f"/v1/touches/{touch['id']}/confirm")
    assert await states(meetings, worn) == [["mutual"], ["mutual"]]


async def test_who_declines_shares_nothing_and_the_other_cannot_tell(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.share(ada.user, "always")
    await meetings.meet(*meetings.touch(ada, grace))
    before = await meetings.touches(ada.user)
    [touch] = await meetings.touches(grace.user)
    answer = await grace.user.client.post(f"/v1/touches/{touch['id']}/decline")
    assert answer.json()["state"] == "declined"
    assert await meetings.touches(ada.user) == before
    again = await grace.user.client.post(f"/v1/touches/{touch['id']}/confirm")
    assert again.json()["code"] == "touch.closed"


@pytest.mark.parametrize("blocker", [0, 1])
async def test_a_block_of_either_keeps_both_cards_at_home_and_ends_a_friendship(
    meetings: Meetings, worn: Worn, blocker: int
) -> None:
    await share_always(meetings, worn)
    await meetings.meet(*meetings.touch(*worn))
    user, other = worn[blocker].user, worn[1 - blocker].user
    assert (await user.client.put(f"/v1/blocks/{other.id}")).status_code == 204
    assert (await other.client.get("/v1/friends")).json()["items"] == []
    await meetings.meet(*meetings.touch(*worn))
    assert await states(meetings, worn) == [["mutual", "exchanged"]] * 2


async def test_two_workers_with_both_halves_at_once_make_one_touch(
    meetings: Meetings, worn: Worn
) -> None:
    await share_always(meetings, worn)
    for _ in range(5):
        events = await meetings.bring(*meetings.touch(*worn))
        assert len(events) == 2
        await asyncio.gather(*(meetings.react(event) for event in events))
        await meetings.fail_if_a_reaction_failed()
    assert await states(meetings, worn) == [["exchanged"] * 5] * 2
    for wearer in worn:
        told = await meetings.told(wearer.user)
        assert [told.count(kind) for kind in EXCHANGED] == [5, 1, 5]
    assert await meetings.admin.fetchval("SELECT count(*) FROM conversations") == 1


async def test_a_reaction_that_is_repeated_changes_nothing(meetings: Meetings, worn: Worn) -> None:
    await share_always(meetings, worn)
    events = await meetings.bring(*meetings.touch(*worn))
    for event in events:
        await meetings.react(event)
    before = [await meetings.told(wearer.user) for wearer in worn]
    await meetings.admin.execute("UPDATE consumer_tasks SET status = 'pending', locked_by = NULL")
    for event in events:
        assert await meetings.react(event)
    assert [await meetings.told(wearer.user) for wearer in worn] == before
    assert await states(meetings, worn) == [["exchanged"], ["exchanged"]]


async def test_a_worker_that_dies_in_the_middle_leaves_nothing_and_the_next_one_does_it_all(
    meetings: Meetings, worn: Worn
) -> None:
    await share_always(meetings, worn)
    events = await meetings.bring(*meetings.touch(*worn))
    tap_id = await meetings.admin.fetchval("SELECT id FROM ring_taps LIMIT 1")

    async def pair_and_die() -> None:
        house = meetings.hub.resources
        async with begin(house.system, SYSTEM) as tx:
            await service.pair(tx, tap_id, house.cipher)
            backend = await BACKEND.one(tx)
            await meetings.admin.execute("SELECT pg_terminate_backend($1)", backend)

    with pytest.raises(DomainError) as refusal:
        await pair_and_die()
    assert refusal.value.code == "service.unavailable"
    assert await states(meetings, worn) == [[], []]
    assert [await meetings.told(wearer.user) for wearer in worn] == [[], []]
    for event in events:
        await meetings.react(event)
    assert await states(meetings, worn) == [["exchanged"], ["exchanged"]]
    for wearer in worn:
        assert sorted(await meetings.told(wearer.user)) == sorted(EXCHANGED)


@pytest.mark.parametrize("setting", ["never", "always"])
async def test_a_setting_that_is_being_changed_decides_when_it_is_committed(
    meetings: Meetings, worn: Worn, setting: str
) -> None:
    ada, grace = worn
    await meetings.share(ada.user, "always")
    await meetings.share(grace.user, "always" if setting == "never" else "never")
    events = await meetings.bring(*meetings.touch(ada, grace))
    async with meetings.admin.transaction():
        await meetings.admin.execute(
            "UPDATE profiles SET privacy_settings = $2 WHERE user_id = $1",
            grace.user.id,
            msgspec.json.encode({"share_on_tap": setting}).decode(),
        )
        reactions = [asyncio.create_task(meetings.react(event)) for event in events]
        await waiting_for_a_lock(meetings)
    await asyncio.gather(*reactions)
    await meetings.fail_if_a_reaction_failed()
    then = "exchanged" if setting == "always" else "mutual"
    assert await states(meetings, worn) == [[then], [then]]


async def waiting_for_a_lock(meetings: Meetings) -> None:
    """Return when the database says that somebody waits for what this test holds."""
    async with asyncio.timeout(10):
        while not await meetings.admin.fetchval(  # noqa: ASYNC110  # the database tells nobody
            """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        ):
            await asyncio.sleep(0.01)


async def test_with_an_account_that_was_closed_nothing_is_exchanged(
    meetings: Meetings, worn: Worn
) -> None:
    await share_always(meetings, worn)
    await meetings.admin.execute(
        "UPDATE users SET deleted_at = now() WHERE id = $1", worn[1].user.id
    )
    await meetings.meet(*meetings.touch(*worn))
    assert [item["state"] for item in await meetings.touches(worn[0].user)] == ["mutual"]


async def test_touches_blocks_answers_and_partings_at_once_never_wait_for_each_other(
    meetings: Meetings, worn: Worn
) -> None:
    await share_always(meetings, worn)
    one, other = (wearer.user for wearer in worn)
    events = await meetings.bring(*(item for _ in range(8) for item in meetings.touch(*worn)))
    requests = [
        user.client.request(method, f"/v1/{path}/{peer.id}")
        for _ in range(4)
        for user, peer in ((one, other), (other, one))
        for method, path in (("PUT", "blocks"), ("DELETE", "friends"), ("DELETE", "blocks"))
    ]
    answers, _ = await asyncio.gather(
        asyncio.gather(*requests), asyncio.gather(*(meetings.react(event) for event in events))
    )
    await meetings.fail_if_a_reaction_failed()
    assert {answer.status_code for answer in answers} <= {204, 404}
    assert all(set(found) <= {"mutual", "exchanged"} for found in await states(meetings, worn))
    friends = await meetings.admin.fetchval("SELECT count(*) FROM friendships")
    assert friends == await meetings.admin.fetchval("SELECT sum(friends_count) FROM profiles")
