"""The life of a ring in the whole system: given away, claimed through a gateway, tapped, lost."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core import clock, edge
from core.edge import TapEvent
from firmware_bridge import tap
from hub.domains.gateways.schemas import Message
from tests.e2e.phone import Phone, call, sign_in
from tests.fixtures.mqtt_gateway import MqttGateway
from tests.fixtures.rings import eventually
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import running_seconds

WITHIN_SECONDS = 1.0


@dataclass
class Watching(Phone):
    """A phone that also remembers when which event came."""

    seen: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)

    def note(self, channel: str, publication: Any) -> None:
        super().note(channel, publication)
        event = publication.data
        self.seen.append((event["type"], event["data"], running_seconds()))

    async def wait(self, kind: str, ring_id: str, since: float) -> float:
        """Wait for an event of a ring; return after how many seconds it came."""

        def found() -> list[float]:
            return [
                at - since
                for type_, data, at in self.seen
                if type_ == kind and data["ring_id"] == ring_id and at >= since
            ]

        await eventually(found, f"{kind} on the phone", 20)
        return found()[0]


class Person:
    """A demo user with a phone."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.phone = Watching(stack.url, name)
        self._url = stack.url
        self._token = sign_in(stack.url, name)

    def post(self, path: str, body: object = None) -> Any:
        return call(self._url, path, body if body is not None else {}, self._token)

    def get(self, path: str) -> Any:
        return call(self._url, path, None, self._token)

    @property
    def taps(self) -> list[dict[str, Any]]:
        return self.get("/v1/rings/taps?limit=200")["items"]


@pytest.fixture
async def people(stack: Stack) -> AsyncIterator[tuple[Person, Person]]:
    """Ada, whose gateway it is, and Grace; both phones are connected."""
    ada, grace = Person(stack, "Ada Lovelace"), Person(stack, "Grace Hopper")
    for person in (ada, grace):
        await person.phone.open()
    yield ada, grace
    for person in (ada, grace):
        await person.phone.close()


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(stack.settings.database.system_url)
    yield connection
    await connection.close()


async def claim(person: Person, stack: Stack, code: str, label: str) -> str:
    """Claim a ring through the demo gateway, pressing it; return its id."""
    started = person.post("/v1/ring-claims", {"claim_code": code, "label": label})
    path = f"/v1/ring-claims/{started['id']}"
    person.post(f"/v1/development{path.removeprefix('/v1')}/press")
    person.post(f"{path}/gateway", {"gateway_id": stack.settings.gateway.id})
    await eventually(
        lambda: (found := person.get(path))["status"] == "done" or found["gateway_code"],
        "the claim to end",
        30,
    )
    done = person.get(path)
    assert done["status"] == "done", done
    return done["ring_id"]


def forged(stack: Stack, entry: dict[str, Any], key: bytes, seq: int) -> Message:
    """Return a tap of a ring signed with a key, as a gateway sends it."""
    ring = bytes.fromhex(entry["device_id"])
    record = tap.TapRecord(kind="button", boot=9, seq=seq, uptime_ms=1)
    event = TapEvent(ring=ring, boot=9, seq=seq, raw=tap.encode(record, ring_id=ring, key=key), t=1)
    return Message(
        topic=edge.tap_topic(stack.settings.gateway.id, ring),
        payload=edge.encode(event),
        received_ms=clock.unix_ms(),
    )


@pytest.mark.req("RNG-03", "RNG-05", "PRD-02")
async def test_a_ring_goes_from_hand_to_hand_and_each_keeps_their_own_history(
    stack: Stack, people: tuple[Person, Person], database: Any
) -> None:
    ada, grace = people
    of_grace = {item["ring_id"] for item in grace.taps}
    entry = next(item for item in stack.rings if item["name"] == "ada-1")
    factory_key = bytes.fromhex(entry["tap_key"])
    first = entry["ring_id"]
    stack.press(entry["device_id"])
    await ada.phone.wait("ring.tapped", first, 0)

    since = running_seconds()
    released = ada.post(f"/v1/rings/{first}/release")
    assert await ada.phone.wait("ring.released", first, since) < WITHIN_SECONDS
    history = [item for item in ada.taps if item["ring_id"] == first]
    assert history

    # Back to its owner: the same device is another ring with other keys.
    since = running_seconds()
    second = await claim(ada, stack, released["claim_code"], "Back again")
    await ada.phone.wait("ring.claimed", second, since)
    boot, seq = stack.press(entry["device_id"])
    await eventually(lambda: (second, boot, seq) in ada.phone.taps, "the tap under the new key", 20)
    row = await database.fetchrow("SELECT * FROM rings WHERE id = $1", UUID(second))
    assert row["next_tap_key"] is None, "the new key is in force"
    assert row["verified"] is True

    # Who knows the old key can add nothing.
    url = stack.settings.gateway.mqtt_url
    with MqttGateway(url, UUID(stack.settings.gateway.id)) as gateway:
        gateway.send(forged(stack, entry, factory_key, 100_000))
        await eventually(lambda: any(ack.rej for ack in gateway.acks), "the refusal", 20)
    assert (100_000, "bad_tag") in {pair for ack in gateway.acks for pair in ack.rej}

    # Lost: refused within a second; found: counted again.
    since = running_seconds()
    ada.post(f"/v1/rings/{second}/lost")
    stack.press(entry["device_id"])
    assert await ada.phone.wait("ring.lost", second, since) < WITHIN_SECONDS
    refused = "SELECT count(*) FROM rejected_taps WHERE reason = 'ring_revoked'"
    while await database.fetchval(refused) == 0:
        assert running_seconds() - since < 20
    ada.post(f"/v1/rings/{second}/found")
    boot, seq = stack.press(entry["device_id"])
    await eventually(lambda: (second, boot, seq) in ada.phone.taps, "the tap after", 20)

    # On to Grace, who has a gateway of her own by now.
    released = ada.post(f"/v1/rings/{second}/release")
    await database.execute("UPDATE rings SET heard_by = NULL")
    await database.execute(
        "UPDATE gateways SET user_id = (SELECT user_id FROM rings WHERE label = 'grace-1')"
    )
    third = await claim(grace, stack, released["claim_code"], "From Ada")
    boot, seq = stack.press(entry["device_id"])
    await eventually(lambda: (third, boot, seq) in grace.phone.taps, "Grace's first tap", 20)
    assert {item["ring_id"] for item in grace.taps} - of_grace == {third}
    assert [item for item in ada.taps if item["ring_id"] == first] == history
    assert third not in {item["ring_id"] for item in ada.taps}
    assert (third, boot, seq) not in ada.phone.taps
