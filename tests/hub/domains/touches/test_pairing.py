"""Which two records name each other, and what becomes of a half whose other half stays away."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from core import clock, edge
from core.actor import SYSTEM
from core.db import begin
from core.edge import TapEvent
from hub.domains.touches import service
from tests.fixtures.app import User
from tests.fixtures.touching import Meetings
from tests.hub.domains.touches.steps import HOUR_MS, Worn, ask, ask_once, share_always, states


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


async def test_a_record_of_a_ring_whose_key_we_cannot_open_waits_as_a_half(
    meetings: Meetings, worn: Worn
) -> None:
    await meetings.admin.execute("UPDATE rings SET id_key = '\\x00' WHERE id = $1", worn[1].ring_id)
    await meetings.meet(*meetings.touch(*worn))
    await ask(meetings)
    assert await states(meetings, worn) == [["half"], ["half"]]


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
