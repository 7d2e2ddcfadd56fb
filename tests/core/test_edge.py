"""The contract between gateway and hub reads what it writes, and refuses what it does not know."""

from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import edge

u32 = st.integers(0, (1 << 32) - 1)
ring = st.binary(min_size=8, max_size=8)
taps = st.builds(
    edge.TapEvent,
    ring=ring,
    boot=u32,
    seq=u32,
    raw=st.binary(max_size=64),
    t=st.none() | st.integers(0, 1 << 42),
    t_src=st.sampled_from(["synced", "bounded", "gateway", "none"]),
    rssi=st.none() | st.integers(-128, 127),
    lat=st.none() | st.floats(-90, 90),
)
acks = st.builds(
    edge.AckMessage,
    acks=st.lists(
        st.builds(
            edge.Ack,
            ring=ring,
            boot=u32,
            sack=st.lists(st.tuples(u32, u32), max_size=5),
            rej=st.lists(st.tuples(u32, st.sampled_from(["bad_tag", "malformed"])), max_size=5),
        ),
        max_size=5,
    ),
)


@given(taps)
def test_a_tap_event_is_read_as_it_was_written(event: edge.TapEvent):
    assert edge.decode(edge.encode(event), edge.TapEvent) == event


@given(acks)
def test_an_acknowledgement_is_read_as_it_was_written(message: edge.AckMessage):
    assert edge.decode(edge.encode(message), edge.AckMessage) == message


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_payload_error_at_worst(data: bytes):
    with suppress(edge.PayloadError):
        edge.decode(data, edge.TapEvent)


def test_a_newer_peer_may_send_more_fields():
    event = {"ring": bytes(8), "boot": 1, "seq": 2, "raw": b"x", "from_the_future": [1]}

    assert edge.decode(cbor2.dumps(event), edge.TapEvent).seq == 2


def test_a_newer_hub_may_refuse_for_a_reason_that_this_gateway_does_not_know():
    message = {"acks": [{"ring": bytes(8), "boot": 1, "sack": [[1, 4]], "rej": [[5, "too_cold"]]}]}

    (ack,) = edge.decode(cbor2.dumps(message), edge.AckMessage).acks

    assert (ack.sack, ack.rej) == ([(1, 4)], [(5, "too_cold")])


@pytest.mark.parametrize(
    "field",
    [{"ring": bytes(7)}, {"boot": -1}, {"seq": 1 << 32}, {"raw": bytes(65)}, {"lat": 91.0}],
    ids=str,
)
def test_values_out_of_range_are_refused(field: dict[str, object]):
    event = {"ring": bytes(8), "boot": 1, "seq": 2, "raw": b"x"} | field

    with pytest.raises(edge.PayloadError):
        edge.decode(cbor2.dumps(event), edge.TapEvent)


def test_topics_of_gateways_and_of_the_hub_are_disjoint():
    written, read = edge.tap_topic("g1", bytes(8)), edge.ack_topic("g1")

    assert edge.gateway_of(written) == "g1"
    assert not read.startswith("ping/v1/gw/")
