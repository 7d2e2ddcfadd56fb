"""Gateways that report without end: their reports are dropped, nobody's taps are."""

from uuid import uuid4

from core import edge
from core.budget import Budget
from hub.domains.gateways.schemas import Message
from hub.processes.ingest import affordable


def test_reports_beyond_the_budget_are_dropped_and_taps_and_others_are_not() -> None:
    evil, good = uuid4(), uuid4()
    ring = bytes(8)
    flood = [
        Message(topic, b"", 0)
        for topic in (
            edge.state_topic(evil),
            edge.info_topic(evil),
            edge.health_topic(evil),
            edge.ring_state_topic(evil, ring),
        )
        * 5
    ]
    others = [
        Message(edge.tap_topic(evil, ring), b"", 0),
        Message(edge.read_topic(evil, "reader"), b"", 0),
        Message(edge.state_topic(good), b"", 0),
        Message("", b"", 0),
    ]
    kept = affordable([*flood, *others], Budget(burst=3, per_second=0))
    assert kept == [*flood[:3], *others]
