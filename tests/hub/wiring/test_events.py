"""Every event of the database has its payload, its way and its consumers."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

import migrations
from core import clock
from core.actor import SYSTEM
from core.crypto import FieldCipher, KeyRing
from core.db import Pool, begin
from hub.domains.events import service
from hub.domains.events.schemas import OutboxEvent
from hub.domains.rings.events import RingTapped
from hub.realtime.cluster.messages import Revoke
from hub.wiring import events
from hub.wiring.channels import NAMESPACES, history_of
from hub.wiring.events import PAYLOADS, ROUTES, UndeliverableError
from hub.wiring.slices import CONSUMERS, sealing_consumers
from tests.fixtures.world import FIELD_KEYS
from tests.migrations.test_events import act

OWNER, SUBJECT = uuid4(), uuid4()


def event(**more: Any) -> OutboxEvent:
    given: dict[str, Any] = {
        "seq": 1,
        "event_id": uuid4(),
        "type": "conversation.opened",
        "user_id": OWNER,
        "subject_id": SUBJECT,
        "payload": msgspec.Raw(msgspec.json.encode({"conversation_id": SUBJECT, "kind": "direct"})),
        "occurred_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return OutboxEvent(**given | more)


def test_every_type_in_the_catalogue_has_a_route_and_a_payload() -> None:
    catalogue = (Path(migrations.__file__).parent / "objects" / "events.sql").read_text()
    types = set(re.findall(r"app\.emit_\w+\(\s*'([^']+)'", catalogue))
    assert types
    assert types == ROUTES.keys() == PAYLOADS.keys()


def test_every_consumer_in_the_table_exists_and_is_used() -> None:
    used = {name for route in ROUTES.values() for name in route.consumers}
    consumers = (
        *CONSUMERS,
        *sealing_consumers(lambda: FieldCipher(KeyRing.parse(FIELD_KEYS)), bytes),
    )
    assert used == {consumer.name for consumer in consumers}


def test_every_channel_in_the_table_has_a_namespace_with_history() -> None:
    for route in ROUTES.values():
        for audience in route.channels:
            assert history_of(audience).size == (1 if audience == "flags:all" else 1000)
            assert NAMESPACES[audience.partition(":")[0]].force_recovery


def test_a_channel_without_a_namespace_is_a_fault() -> None:
    with pytest.raises(LookupError):
        history_of("elsewhere:1")


def test_members_of_the_subject_receive_the_event() -> None:
    first, second = uuid4(), uuid4()
    delivery = events.deliver(event(), {SUBJECT: [first, second]})
    assert delivery.channels == (f"messages:{first}", f"messages:{second}")
    assert msgspec.json.decode(delivery.data) == {
        "id": str(delivery.event_id),
        "type": "conversation.opened",
        "occurred_at": "2026-01-02T00:00:00Z",
        "data": {"conversation_id": str(SUBJECT), "kind": "direct"},
    }


def test_times_are_written_as_rest_writes_them() -> None:
    tapped = {
        "tap_id": str(uuid4()),
        "ring_id": str(uuid4()),
        "kind": "button",
        "source": "ble",
        "boot": 1,
        "seq": 2,
        "rssi": None,
        "gateway_id": None,
        "tapped_at": "2026-01-02T03:04:05.678+00:00",
        "uncertainty_ms": 5,
        "time_source": "synced",
        "verified": True,
    }
    payload = msgspec.Raw(msgspec.json.encode(tapped))
    delivery = events.deliver(event(type="ring.tapped", payload=payload), {})
    written = msgspec.json.decode(delivery.data)["data"]
    assert written == tapped | {"tapped_at": "2026-01-02T03:04:05.678000Z"}


@pytest.mark.parametrize(("kind", "pairs"), [("ring_to_ring", True), ("button", False)])
def test_only_records_of_touches_are_given_to_the_pairing(kind: str, *, pairs: bool) -> None:
    tapped = dict.fromkeys(RingTapped.__struct_fields__) | {
        "tap_id": uuid4(),
        "ring_id": uuid4(),
        "kind": kind,
        "source": "ble",
        "verified": True,
    }
    payload = msgspec.Raw(msgspec.json.encode(tapped))
    delivery = events.deliver(event(type="ring.tapped", payload=payload), {})
    assert ("touches.pair" in delivery.consumers) is pairs
    assert "profiles.mark_active" in delivery.consumers


@pytest.mark.parametrize("is_private", [True, False])
def test_no_insight_at_once_tells_of_a_private_meeting_by_its_time(*, is_private: bool) -> None:
    met = {
        "interaction_id": uuid4(),
        "contact_id": uuid4(),
        "kind": "meeting",
        "direction": "mutual",
        "occurred_at": clock.now(),
        "is_private": is_private,
    }
    payload = msgspec.Raw(msgspec.json.encode(met))
    delivery = events.deliver(event(type="interaction.recorded", payload=payload), {})
    assert ("insights.look_at_meeting" in delivery.consumers) is not is_private
    assert "relationships.refresh" in delivery.consumers, "the user's own health counts it"


def test_only_conversations_need_their_members() -> None:
    tapped = event(type="ring.tapped", subject_id=uuid4())
    assert events.conversations_in([event(), tapped, event(type="unknown")]) == {SUBJECT}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "nobody.knows"},
        {"payload": msgspec.Raw(b'{"kind": "direct"}')},
        {"payload": msgspec.Raw(b'{"conversation_id": 7, "kind": "direct"}')},
        {"payload": msgspec.Raw(b"[]")},
        {"payload": msgspec.Raw(b"{")},
    ],
)
def test_an_event_nobody_could_read_is_undeliverable(change: dict[str, Any]) -> None:
    with pytest.raises(UndeliverableError):
        events.deliver(event(**change), {})


async def test_what_every_trigger_writes_can_be_delivered(admin: Any, system_pool: Pool) -> None:
    ada, grace = await act(admin)
    async with begin(system_pool, SYSTEM) as tx:
        written = await service.take_outbox(tx, shards=16, shards_max=16, limit=100)
        members = await service.members_of(tx, events.conversations_in(written))
        deliveries = {item.type: events.deliver(item, members) for item in written}
    assert deliveries.keys() == ROUTES.keys()
    assert deliveries["ring.tapped"].channels == (f"taps:{ada}",)
    family = await admin.fetchval("SELECT family_id FROM sessions")
    revoked = deliveries["session.revoked"]
    assert (revoked.channels, revoked.order) == ((), Revoke(sign_in_session=str(family)))
    conversation = await admin.fetchval("SELECT id FROM conversations WHERE kind = 'group'")
    assert set(deliveries["message.sent"].channels) == {
        f"messages:{ada}",
        f"messages:{grace}",
        f"conversation:{conversation}",
    }
