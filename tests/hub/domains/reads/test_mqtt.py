"""Reads on MQTT: what is understood of a message, and what the gateway is told."""

import os
from uuid import UUID

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import edge
from core.edge import AckMessage, TagRead
from hub.domains.gateways.schemas import Message
from hub.domains.reads.mqtt import read_read, write_read_acks
from hub.domains.reads.schemas import ReadAnswered, ReadArrival, ReadRefusal

GATEWAY = UUID("01936f00-0000-7000-8000-000000000001")
OTHER = UUID("01936f00-0000-7000-8000-000000000002")
TOPIC = edge.read_topic(GATEWAY, "pcsc")
READ = TagRead(id=bytes(16), url="https://ping.example/t?cmac=00")


def test_a_read_is_taken_with_the_gateway_of_its_topic():
    found = read_read(Message(TOPIC, edge.encode(READ), 5))
    assert found == ReadArrival(GATEWAY, READ, 5)


@pytest.mark.parametrize(
    "topic",
    [
        "ping/v1/gw/nobody/nfc/pcsc/sun",
        f"ping/v1/gw/{str(GATEWAY).upper()}/nfc/pcsc/sun",
        f"ping/v1/gw/{GATEWAY}/nfc/a/b/sun",
        f"ping/v1/gw/{GATEWAY}/ring/pcsc/sun",
    ],
)
def test_a_topic_that_is_none_of_ours_says_nothing(topic: str):
    assert read_read(Message(topic, edge.encode(READ), 5)) is None


@given(payload=st.binary(max_size=300))
def test_no_payload_is_a_crash(payload: bytes):
    found = read_read(Message(TOPIC, payload, 5))
    assert isinstance(found, ReadArrival | ReadRefusal)


@pytest.mark.parametrize("changed", [{"url": ""}, {"url": "x" * 513}, {"lat": 91.0}, {"v": 2}])
def test_a_read_out_of_bounds_is_malformed_and_keeps_its_id(changed: dict[str, object]):
    payload = cbor2.dumps({"v": 1, "id": READ.id, "url": READ.url} | changed)
    found = read_read(Message(TOPIC, payload, 5))
    assert isinstance(found, ReadRefusal)
    assert (found.reason, found.read_id) == ("malformed", READ.id)


def test_each_gateway_is_told_of_its_own_reads_and_a_row_outweighs_a_refusal():
    one, two, three, four = (os.urandom(16) for _ in range(4))
    answers = write_read_acks(
        [
            ReadAnswered(GATEWAY, one, "committed"),
            ReadAnswered(GATEWAY, two, "bad_tag"),
            ReadAnswered(GATEWAY, two, "committed"),
            ReadAnswered(GATEWAY, one, "counter_stale"),
            ReadAnswered(GATEWAY, three, "deferred"),
            ReadAnswered(OTHER, four, "untrusted"),
        ]
    )
    assert [answer.topic for answer in answers] == [edge.ack_topic(GATEWAY)]
    message = edge.decode(answers[0].payload, AckMessage)
    assert dict(message.reads) == {one: "", two: "", three: "deferred"}
    assert message.acks == []
