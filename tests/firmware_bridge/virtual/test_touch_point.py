"""Two rings tell each other who they are over the air; whoever is not touching is refused."""

import asyncio
from typing import Any

import pytest
from bleak.exc import BleakGATTProtocolError

from firmware_bridge import gatt, touch
from firmware_bridge.virtual.ring import VirtualRing
from firmware_bridge.virtual.touch_point import RSSI_MIN_DBM, WINDOW_SECONDS, TouchRefusedError
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import Air, eventually

SAID = touch.encode(touch.Touch(eid=b"\7" * 16, seq=9))
NOW_MS = 1_767_225_600_000


async def pair_of(air: Air, **options: Any) -> tuple[VirtualRing, VirtualRing]:
    one = await air.ring(1, id_key=b"\1" * 16, **options)
    return one, await air.ring(2, id_key=b"\2" * 16, **options)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (SAID, gatt.TOUCH_TOO_LATE),
        (SAID[:-1], 0x0D),
        (SAID + b"\0", 0x0D),
        (b"", 0x0D),
        (bytes(20), 0x13),
        (SAID[:16] + bytes(4), 0x13),
    ],
)
async def test_a_stranger_who_writes_without_a_touch_is_refused(
    air: Air, data: bytes, code: int
) -> None:
    ring = await air.ring(1, id_key=b"\1" * 16)
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as gateway:
        with pytest.raises(BleakGATTProtocolError) as refusal:
            await gateway.client.write_gatt_char(gatt.TOUCH, data, response=True)
    assert refusal.value.code == code
    assert ring.memory.pending == []


async def test_rings_that_are_near_but_do_not_touch_record_nothing(air: Air) -> None:
    one, other = await pair_of(air)
    with pytest.raises(TouchRefusedError, match="0x80"):
        await one.touch(other, NOW_MS, rssi_dbm=RSSI_MIN_DBM - 1)
    assert (one.memory.pending, other.memory.pending) == ([], [])
    await one.touch(other, NOW_MS, rssi_dbm=RSSI_MIN_DBM)
    assert (len(one.memory.pending), len(other.memory.pending)) == (1, 1)


async def test_what_comes_long_after_the_bump_is_refused(air: Air) -> None:
    now = 0.0

    def monotonic() -> float:
        nonlocal now
        now += WINDOW_SECONDS + 1  # each look at the clock is a window later
        return now

    one, other = await pair_of(air, monotonic=monotonic)
    with pytest.raises(TouchRefusedError, match="0x81"):
        await one.touch(other, NOW_MS)
    assert (one.memory.pending, other.memory.pending) == ([], [])


async def test_a_ring_is_told_once_in_a_touch(air: Air) -> None:
    one, other = await pair_of(air)
    mine, theirs = one.touch_point, other.touch_point
    async with mine.felt(air.link, -30), theirs.felt(air.link, -30):
        await mine.reach(theirs)
        await mine.say(SAID)
        with pytest.raises(TouchRefusedError, match="0x82"):
            await mine.say(SAID)
        assert theirs.told == touch.decode(SAID)
        assert mine.told is None
    assert theirs.rssi is None


async def test_when_the_answer_is_lost_only_the_ring_that_was_told_has_a_half(
    air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await pair_of(air)

    async def lost(_data: bytes) -> None:
        raise TouchRefusedError("the link failed")

    monkeypatch.setattr(other.touch_point, "say", lost)
    with pytest.raises(TouchRefusedError):
        await one.touch(other, NOW_MS)
    assert (len(one.memory.pending), len(other.memory.pending)) == (0, 1)
    monkeypatch.undo()
    await one.touch(other, NOW_MS)  # and the next touch is a new one
    assert (len(one.memory.pending), len(other.memory.pending)) == (1, 2)


async def test_rings_touch_while_both_are_linked_to_a_gateway(air: Air) -> None:
    one, other = await pair_of(air)
    central = await air.central()
    async with (
        Listener(await find(central.scanner, str(one.address)), central.client) as first,
        Listener(await find(central.scanner, str(other.address)), central.client) as second,
    ):
        records = await one.touch(other, NOW_MS)
        await eventually(lambda: first.raw and second.raw, "both records")
        assert (first.seqs, second.seqs) == ([records[0].seq], [records[1].seq])
        assert records[0].rssi == records[1].rssi == -30
        assert not first.disconnections


async def test_a_touch_leaves_nothing_on_the_air(air: Air) -> None:
    one, other = await pair_of(air)
    before = len(air.link.controllers)
    await asyncio.gather(one.touch(other, NOW_MS), other.touch(one, NOW_MS))
    assert len(air.link.controllers) == before
    with pytest.raises(TouchRefusedError):
        await one.touch_point.reach(other.touch_point)
