"""Where one record stays alone its other owner is asked, and nobody is asked in vain."""

from collections.abc import Awaitable, Callable

import pytest

from core import clock
from hub.domains.touches import service
from tests.fixtures.app import User
from tests.fixtures.touching import Meetings
from tests.hub.domains.touches.steps import Worn, ask, ask_once, states


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
