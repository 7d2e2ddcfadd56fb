"""The AsyncAPI document is valid, complete, and true of what the relay publishes."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from hub.domains.events.schemas import OutboxEvent
from hub.wiring import asyncapi, events
from tests.fixtures.ports import missing

PROJECT = Path(__file__).parents[3]
SPECIFICATION = PROJECT / "node_modules/@asyncapi/specs/schemas/3.0.0.json"
VALIDATE = Path(__file__).parent / "validate.mjs"
DOCUMENT = asyncapi.document("1.2.3", "https://hub.example")


def violations(schema: dict[str, Any], instances: list[Any]) -> list[Any]:
    """Return what ajv has to say of the instances that break the schema."""
    if not SPECIFICATION.exists():
        missing("the npm packages of package.json")
    given = json.dumps({"schema": schema, "instances": instances})
    command = [sys.executable, "-m", "hub.embedded.node", str(VALIDATE)]
    run = subprocess.run(
        command, input=given, capture_output=True, text=True, check=True, cwd=PROJECT
    )
    return json.loads(run.stdout)


def published(event_type: str, **payload: Any) -> dict[str, Any]:
    """Return the data that subscribers get for an event."""
    given = OutboxEvent(
        seq=1,
        event_id=uuid4(),
        type=event_type,
        user_id=uuid4(),
        subject_id=uuid4(),
        payload=msgspec.Raw(msgspec.json.encode(payload)),
        occurred_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return json.loads(events.deliver(given, {}).data)


def schema_of(event_type: str) -> dict[str, Any]:
    """Return a message's schema, standing alone."""
    return DOCUMENT["components"]["messages"][event_type]["payload"] | {
        "components": DOCUMENT["components"]
    }


def test_the_document_follows_the_specification() -> None:
    assert violations(json.loads(SPECIFICATION.read_text()), [DOCUMENT]) == []


def test_a_document_that_breaks_the_specification_is_found() -> None:
    broken = DOCUMENT | {"channels": {"taps": {"address": 7}}}
    assert violations(json.loads(SPECIFICATION.read_text()), [broken]) != []


def test_every_route_of_an_event_is_in_the_document() -> None:
    said = {
        (channel["address"].partition(":")[0], event_type)
        for channel in DOCUMENT["channels"].values()
        for event_type in channel["messages"]
    }
    assert said == {
        (audience.partition(":")[0], event_type)
        for event_type, route in events.ROUTES.items()
        for audience in route.channels
    }


def test_what_is_published_fits_its_schema_and_no_other() -> None:
    claimed = published("ring.claimed", ring_id=uuid4(), label=None, kind="ble", status="active")
    opened = published("conversation.opened", conversation_id=uuid4(), kind="direct")
    assert violations(schema_of("ring.claimed"), [claimed]) == []
    assert violations(schema_of("conversation.opened"), [opened]) == []
    assert len(violations(schema_of("conversation.opened"), [claimed])) == 1


@pytest.mark.parametrize(
    ("url", "protocol"), [("https://hub.example", "wss"), ("http://127.0.0.1:8000", "ws")]
)
def test_the_server_is_the_one_that_clients_reach(url: str, protocol: str) -> None:
    server = asyncapi.document("1", url)["servers"]["hub"]
    assert (server["protocol"], server["pathname"]) == (protocol, "/connection/websocket")
