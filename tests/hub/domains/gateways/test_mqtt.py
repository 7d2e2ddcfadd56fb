"""A gateway's presence is read from its state topic."""

from uuid import UUID

import pytest

from core import edge
from core.edge import GatewayState
from hub.domains.gateways.mqtt import read_presence
from hub.domains.gateways.schemas import GatewayPresence, Message

GATEWAY = UUID("018f0000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("said", "status"), [("online", "online"), ("stopping", "offline"), ("lost", "offline")]
)
def test_only_a_gateway_that_says_so_is_online(said: str, status: str) -> None:
    payload = edge.encode(GatewayState(state=said, session="s", t=1))  # pyright: ignore[reportArgumentType]
    found = read_presence(Message(edge.state_topic(GATEWAY), payload, 0))
    assert found == GatewayPresence(GATEWAY, status, "s")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (edge.state_topic(GATEWAY), b""),
        (edge.state_topic(GATEWAY), b"\xff\xff"),
        (edge.state_topic(GATEWAY), b"\xa1\x65state\x63odd"),
        ("ping/v1/gw/nobody/state", edge.encode(GatewayState(state="lost", session="s", t=1))),
        ("state", edge.encode(GatewayState(state="lost", session="s", t=1))),
    ],
)
def test_what_makes_no_sense_says_nothing(topic: str, payload: bytes) -> None:
    assert read_presence(Message(topic, payload, 0)) is None
