"""What gateways send is read without trust, and every tap gets its answer."""

from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import edge
from core.edge import AckMessage
from firmware_bridge import tap
from hub.domains.gateways.schemas import Message
from hub.domains.taps.mqtt import ranges, read_tap, write_acks
from hub.domains.taps.schemas import Answered, Arrival, Refusal, Verdict

GATEWAY = UUID("018f0000-0000-7000-8000-000000000001")
RING = bytes(range(8))
RAW = tap.encode(
    tap.TapRecord(kind="button", boot=3, seq=7, uptime_ms=1), ring_id=RING, key=bytes(16)
)
TOPIC = edge.tap_topic(GATEWAY, RING)


def message(topic: str = TOPIC, **change: Any) -> Message:
    event = {"v": 1, "ring": RING, "boot": 3, "seq": 7, "raw": RAW, **change}
    return Message(topic, cbor2.dumps(event), 1000)


def test_a_tap_is_read_with_its_record() -> None:
    arrival = read_tap(message())
    assert isinstance(arrival, Arrival)
    assert arrival.gateway_id == GATEWAY
    assert arrival.record.kind == "button"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "ping/v1/gw//ring//tap",
        TOPIC + "/more",
        TOPIC.replace(str(GATEWAY), "gateway"),
        TOPIC.replace(str(GATEWAY), str(GATEWAY).upper()),
        TOPIC.replace(RING.hex(), RING.hex() + "00"),
        TOPIC.replace("/ring/", "/rings/"),
    ],
)
def test_a_topic_that_names_no_gateway_and_ring_is_nobodys(topic: str) -> None:
    assert read_tap(message(topic)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"raw": b"short"},
        {"raw": RAW + b"x"},
        {"raw": b"\0" * 43},
        {"raw": "text"},
        {"boot": 4},
        {"seq": 8},
        {"ring": b"\xff" * 8},
        {"rssi": 4000},
        {"lat": 91.0},
        {"lon": "east"},
    ],
)
def test_an_event_that_contradicts_itself_is_refused_by_its_numbers(
    change: dict[str, Any],
) -> None:
    refusal = read_tap(message(**change))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "malformed"
    assert (refusal.boot, refusal.seq) == (change.get("boot", 3), change.get("seq", 7))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_little_of_them_is_kept(payload: bytes) -> None:
    refusal = read_tap(Message(TOPIC, payload, 0))
    assert isinstance(refusal, Refusal)
    assert refusal.device_id == RING
    assert len(refusal.raw) <= 64


@given(st.sets(st.integers(0, 60)))
def test_ranges_cover_exactly_the_numbers(numbers: set[int]) -> None:
    found = ranges(sorted(numbers))
    assert {n for first, last in found for n in range(first, last + 1)} == numbers
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(found))


def answers(*verdicts: Answered) -> dict[str, AckMessage]:
    return {a.topic: edge.decode(a.payload, AckMessage) for a in write_acks(verdicts)}


def answered(seq: int, verdict: Verdict, gateway: UUID = GATEWAY, boot: int = 1) -> Answered:
    return Answered(gateway, RING, boot, seq, verdict)


def test_each_gateway_gets_one_message_with_all_its_taps() -> None:
    other = uuid4()
    found = answers(
        answered(1, "committed"),
        answered(2, "committed"),
        answered(4, "bad_tag"),
        answered(5, "committed", boot=2),
        answered(1, "committed", gateway=other),
    )
    assert found.keys() == {edge.ack_topic(GATEWAY), edge.ack_topic(other)}
    first, second = found[edge.ack_topic(GATEWAY)].acks
    assert (first.boot, first.sack, first.rej) == (1, [(1, 2)], [(4, "bad_tag")])
    assert (second.boot, second.sack, second.rej) == (2, [(5, 5)], [])


def test_a_deferred_tap_is_neither_committed_nor_refused_but_heard_of() -> None:
    [message] = answers(answered(1, "deferred"), answered(2, "deferred")).values()
    assert message.acks == [edge.Ack(ring=RING, boot=1)]


def test_a_gateway_without_standing_gets_no_answer() -> None:
    assert write_acks([answered(1, "untrusted")]) == []


def test_a_tap_that_is_in_the_database_is_not_refused_as_well() -> None:
    [message] = answers(answered(1, "bad_tag"), answered(1, "committed")).values()
    [ack] = message.acks
    assert (ack.sack, ack.rej) == ([(1, 1)], [])
