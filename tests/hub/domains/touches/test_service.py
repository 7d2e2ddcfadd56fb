"""Two records that name each other become one touch; cards go over when both owners agree."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from core import clock, edge
from core.actor import SYSTEM
from core.db import begin, query
from core.edge import TapEvent
from core.errors import DomainError
from hub.domains.touches import service
from tests.fixtures.app import User
from tests.fixtures.touching import Meetings, Wearer

Worn = tuple[Wearer, Wearer]
HOUR_MS = 3_600_000
BACKEND = query(int, "SELECT pg_backend_pid()", login="system")
EXCHANGED = ["touch.mutual", "friendship.created", "touch.exchanged"]


async def share_always(meetings: Meetings, worn: Worn) -> None:
    for wearer in worn:
        await meetings.share(wearer.user, "always")


async def states(meetings: Meetings, worn: Worn) -> list[list[str]]:
    return [[item["state"] for item in await meetings.touches(wearer.user)] for wearer in worn]


async def ask(meetings: Meetings) -> None:
    """Look for the owners of all lone halves, as if each had waited long enough."""
    await meetings.admin.execute("UPDATE touches SET created_at = now() - interval '1 minute'")
    await ask_once(meetings)


async def ask_once(meetings: Meetings) -> bool:
    async with begin(meetings.hub.resources.system, SYSTEM) as tx:
        return await service.ask_owners(tx, meetings.hub.resources.cipher)


async def test_who_was_declined_cannot_ask_again_on_the_same_day(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    admin = meetings.admin
    for hours_ago, expected in ((0, 1), (1, 1), (25, 2)):
        await meetings.meet(meetings.touch(ada, grace)[0])
        await admin.execute("ALTER TABLE touches DISABLE TRIGGER touch")
        await admin.execute(
            "UPDATE touches SET created_at = now() - interval '1 minute',"
            " updated_at = now() - make_interval(hours => $1)",
            hours_ago,
        )
        await admin.execute("ALTER TABLE touches ENABLE TRIGGER touch")
        await ask_once(meetings)
        asked = await meetings.touches(grace.user)
        assert len(asked) == expected
        await grace.user.client.post(f"/v1/touches/{asked[0]['id']}/decline")


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


async def test_a_half_that_waited_in_a_spool_still_pairs(meetings: Meetings, worn: Worn) -> None:
    at_ms = clock.unix_ms() - 5 * HOUR_MS
    early, late = meetings.touch(*worn, at_ms=at_ms)
    await meetings.meet(early)
    await meetings.admin.execute("UPDATE ring_taps SET received_at = now() - interval '5 hours'")
    await meetings.meet(late)
    assert await states(meetings, worn) == [["mutual"], ["mutual"]]


async def test_a_half_is_given_up_after_a_day(meetings: Meetings, worn: Worn) -> None:
    early, late = meetings.touch(*worn)
    await meetings.meet(early)
    await meetings.admin.execute("UPDATE ring_taps SET received_at = now() - interval '24 hours'")
    await meetings.admin.execute("UPDATE touches SET expires_at = now()")
    async with begin(meetings.hub.resources.system, SYSTEM) as tx:
        assert not await service.expire(tx)
    await meetings.meet(late)
    assert await states(meetings, worn) == [["expired"], ["half"]]


async def test_rings_of_one_owner_touch_and_nothing_is_exchanged(
    meetings: Meetings, worn: Worn
) -> None:
    ada, _ = worn
    await meetings.share(ada.user, "always")
    second = await meetings.wear(ada.user)
    await meetings.meet(*meetings.touch(ada, second))
    assert [item["state"] for item in await meetings.touches(ada.user)] == ["mutual", "mutual"]
    assert not any(item["is_asked"] for item in await meetings.touches(ada.user))
    assert await meetings.told(ada.user) == ["touch.mutual", "touch.mutual"]
    assert (await ada.user.client.get("/v1/friends")).json()["items"] == []


@pytest.mark.parametrize(
    "wrong", ["peer_ctr", "peer_eid", "time", "window", "third", "undated", "replayed"]
)
async def test_what_is_not_the_other_half_leaves_a_half(
    meetings: Meetings, worn: Worn, wrong: str, new_user: Callable[[str], Awaitable[User]]
) -> None:
    ada, grace = worn
    await share_always(meetings, worn)
    now_ms = clock.unix_ms()
    mine, _ = meetings.touch(ada, grace, at_ms=now_ms)
    grace.seq -= 1
    said: dict[str, Any] = {"peer_eid": ada.shows(now_ms), "peer_ctr": ada.seq, "at_ms": now_ms}
    other = grace
    match wrong:
        case "peer_ctr":
            said["peer_ctr"] += 1
        case "peer_eid":
            said["peer_eid"] = bytes(15) + b"\1"
        case "time":
            said["at_ms"] = now_ms - 121_000
        case "window":  # overheard an hour ago
            said["peer_eid"] = ada.shows(now_ms - HOUR_MS)
        case "third":
            other = await meetings.wear(await new_user("Eve"))
        case "undated":
            said |= {"t_src": "none", "t": None}
        case _:  # the same bytes under another number are no record of that ring
            pass
    theirs = meetings.sign(other, **said)
    if wrong == "undated":
        event = msgspec.structs.replace(edge.decode(theirs.payload, TapEvent), t=None)
        theirs = msgspec.structs.replace(theirs, payload=edge.encode(event))
    if wrong == "replayed":
        theirs = mine
    await meetings.meet(mine, theirs)
    assert "mutual" not in str(await states(meetings, worn))
    assert await meetings.told(ada.user) == []
    assert await meetings.told(grace.user) == []


async def test_clocks_apart_pair_as_far_as_they_admit_to_be_unsure(
    meetings: Meetings, worn: Worn
) -> None:
    records = meetings.touch(*worn, apart_ms=-600_000, unc_ms=300_000)
    await meetings.meet(*records)
    assert await states(meetings, worn) == [["mutual"], ["mutual"]]


async def test_of_a_ring_that_is_lost_meanwhile_nothing_pairs(
    meetings: Meetings, worn: Worn
) -> None:
    mine, theirs = meetings.touch(*worn)
    await meetings.meet(mine)
    await meetings.admin.execute("UPDATE rings SET status = 'lost' WHERE id = $1", worn[0].ring_id)
    await meetings.meet(theirs)
    assert await states(meetings, worn) == [["half"], ["half"]]


async def test_the_owner_of_a_ring_that_stays_silent_is_asked_and_may_confirm(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.share(ada.user, "always")
    mine, theirs = meetings.touch(ada, grace)
    await meetings.meet(mine)
    await ask(meetings)
    await ask(meetings)  # asked once
    assert await meetings.told(grace.user) == ["touch.asked"]
    [touch] = await meetings.touches(grace.user)
    assert (touch["state"], touch["is_asked"], touch["partner_id"]) == ("half", True, None)
    own = await ada.user.client.post(
        f"/v1/touches/{(await meetings.touches(ada.user))[0]['id']}/confirm"
    )
    assert own.json()["code"] == "touch.closed"  # nobody confirms the own half
    answer = await grace.user.client.post(f"/v1/touches/{touch['id']}/confirm")
    assert answer.json()["state"] == "exchanged"
    await meetings.meet(theirs)  # its record comes after all, and tells nothing new
    assert await states(meetings, worn) == [["exchanged"], ["exchanged"]]
    assert (await meetings.touches(grace.user))[0]["tap_id"] is not None
    assert (await meetings.told(grace.user)).count("touch.exchanged") == 1


async def test_a_record_that_comes_after_the_question_answers_it(
    meetings: Meetings, worn: Worn
) -> None:
    mine, theirs = meetings.touch(*worn)
    await meetings.meet(mine)
    await ask(meetings)
    await meetings.meet(theirs)
    assert await states(meetings, worn) == [["mutual"], ["mutual"]]
    assert await meetings.told(worn[1].user) == ["touch.asked", "touch.mutual"]


@pytest.mark.parametrize("reason", ["never", "own never", "blocked", "contradicted", "own ring"])
async def test_nobody_is_asked_in_vain(meetings: Meetings, worn: Worn, reason: str) -> None:
    ada, grace = worn
    peer = grace
    match reason:
        case "never":
            await meetings.share(grace.user, "never")
        case "own never":
            await meetings.share(ada.user, "never")
        case "blocked":
            await grace.user.client.put(f"/v1/blocks/{ada.user.id}")
        case "contradicted":  # that number of Grace's ring is another tap already
            await meetings.meet(meetings.sign(grace, peer_eid=bytes(15) + b"\1", peer_ctr=9))
            grace.seq -= 1
        case _:
            peer = await meetings.wear(ada.user)
    mine, _ = meetings.touch(ada, peer)
    await meetings.meet(mine)
    await ask(meetings)
    for wearer in worn:
        assert await meetings.told(wearer.user) == []


async def test_a_stranger_who_overheard_identifiers_cannot_ask_without_end(
    meetings: Meetings, worn: Worn, new_user: Callable[[str], Awaitable[User]]
) -> None:
    _, grace = worn
    for number in range(service.OPEN_QUESTIONS_MAX + 2):
        thief = await meetings.wear(await new_user(f"Thief {number}"))
        for ctr in (901, 902):
            await meetings.meet(
                meetings.sign(thief, peer_eid=grace.shows(clock.unix_ms()), peer_ctr=ctr)
            )
    await ask(meetings)
    assert await meetings.told(grace.user) == ["touch.asked"] * service.OPEN_QUESTIONS_MAX


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


async def test_a_record_of_a_ring_whose_key_we_cannot_open_waits_as_a_half(
    meetings: Meetings, worn: Worn
) -> None:
    await meetings.admin.execute("UPDATE rings SET id_key = '\\x00' WHERE id = $1", worn[1].ring_id)
    await meetings.meet(*meetings.touch(*worn))
    await ask(meetings)
    assert await states(meetings, worn) == [["half"], ["half"]]


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


async def test_records_dated_at_will_hold_up_nobody(meetings: Meetings, worn: Worn) -> None:
    ada, grace = worn
    for hours in range(1, 5):
        at_ms = clock.unix_ms() - hours * HOUR_MS
        await meetings.meet(
            meetings.sign(ada, peer_eid=bytes(15) + b"\1", peer_ctr=hours, at_ms=at_ms),
            meetings.sign(
                ada, peer_eid=bytes(15) + b"\2", peer_ctr=hours, at_ms=at_ms, unc_ms=9 * HOUR_MS
            ),
        )
    mine, _ = meetings.touch(ada, grace)
    await meetings.meet(mine)
    await meetings.admin.execute("UPDATE touches SET created_at = created_at - interval '1 minute'")
    rounds = 1
    while await ask_once(meetings):
        rounds += 1
    assert rounds > 1
    assert await meetings.told(grace.user) == ["touch.asked"]
    assert (
        await meetings.admin.fetchval("SELECT count(*) FROM touches WHERE searched_at IS NULL") == 1
    )
