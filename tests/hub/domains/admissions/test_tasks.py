"""The real broker comes to admit and expel what the database says."""

import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core import clock, config, ids
from core.actor import SYSTEM
from core.db import Pool, begin
from core.errors import DomainError
from hub.domains.admissions import tasks
from hub.domains.events.schemas import Event
from hub.providers import dynamic_security, mqtt_sender
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from tests.fixtures.authority import Identity
from tests.fixtures.mqtt_peer import Peer, connected
from tests.fixtures.tls_mqtt import TlsMosquitto
from tests.fixtures.world import World

REFUSED = "Not authorized"


@pytest.fixture
async def outside(tls_mosquitto: TlsMosquitto, system_pool: Pool) -> AsyncIterator[Outside]:
    settings = config.Settings(mqtt=tls_mosquitto.settings())
    sender = MqttSender(settings.mqtt)
    yield Outside(settings, sender, lambda: system_pool)
    await sender.close()


def event(gateway_id: UUID) -> Event:
    return Event(ids.new_id(), "gateway.any", None, gateway_id, msgspec.Raw(b"{}"), clock.now())


async def follow(outside: Outside, gateway_id: UUID) -> None:
    async with begin(outside.system(), SYSTEM) as tx:
        errand = await tasks.follow(tx, event(gateway_id))
    await errand(outside)


async def reconcile(outside: Outside) -> None:
    async with begin(outside.system(), SYSTEM) as tx:
        errand = await tasks.reconcile(tx)
    await errand(outside)


async def revoke(admin: Any, gateway_id: UUID, *, seconds_ago: float = 0) -> None:
    await admin.execute(
        "UPDATE gateways SET revoked_at = now() - make_interval(secs => $2) WHERE id = $1",
        gateway_id,
        seconds_ago,
    )


@pytest.fixture
def identity(tls_mosquitto: TlsMosquitto, world: World) -> Identity:
    return tls_mosquitto.authority.issue(str(world.gateway_id))


def as_gateway(broker: TlsMosquitto, identity: Identity):
    return connected(broker.gateway_port, broker.authority.context(identity))


def is_heard(peer: Peer, identity: Identity) -> bool:
    return peer.publish(f"ping/v1/gw/{identity.name}/state") != REFUSED


async def test_a_gateway_of_the_database_is_admitted(outside, world, identity, tls_mosquitto):
    await follow(outside, world.gateway_id)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert is_heard(peer, identity)


async def test_a_revoked_gateway_is_expelled_at_once(
    outside, world, identity, tls_mosquitto, admin
):
    await follow(outside, world.gateway_id)
    with as_gateway(tls_mosquitto, identity) as peer:
        await revoke(admin, world.gateway_id)
        await follow(outside, world.gateway_id)
        assert peer.wait_lost(1)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert not is_heard(peer, identity)


async def test_the_present_counts_and_not_what_a_late_event_said(
    *, outside, world, identity, tls_mosquitto, admin, monkeypatch
):
    admit = dynamic_security.admit

    async def overtaken(sender: MqttSender, gateways: list[str]) -> None:
        await revoke(admin, world.gateway_id)
        await dynamic_security.expel(sender, gateways)
        await admit(sender, gateways)

    monkeypatch.setattr(dynamic_security, "admit", overtaken)
    await follow(outside, world.gateway_id)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert not is_heard(peer, identity)


async def test_reconciliation_tells_a_wiped_broker_everything_again(
    outside, world, identity, tls_mosquitto
):
    await reconcile(outside)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert is_heard(peer, identity)


async def test_reconciliation_expels_whom_the_hub_revoked_while_the_broker_was_away(
    outside, world, identity, tls_mosquitto, admin
):
    await follow(outside, world.gateway_id)
    await revoke(admin, world.gateway_id, seconds_ago=1e6)
    with as_gateway(tls_mosquitto, identity) as peer:
        await reconcile(outside)
        assert peer.wait_lost(1)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert not is_heard(peer, identity)


async def test_one_revoked_lately_that_came_back_without_rights_is_sent_away_again(
    outside, world, identity, tls_mosquitto, admin
):
    await revoke(admin, world.gateway_id)
    with as_gateway(tls_mosquitto, identity) as peer:
        await reconcile(outside)
        assert peer.wait_lost(1)


@pytest.mark.parametrize(("seconds_ago", "is_sent_away"), [(30, True), (600, False)])
async def test_a_replaced_device_that_was_quicker_than_the_list_of_the_revoked_is_sent_away_again(
    *, outside, world, identity, tls_mosquitto, admin, seconds_ago, is_sent_away
):
    await follow(outside, world.gateway_id)
    await admin.execute(
        "UPDATE gateways SET claimed_at = now() - make_interval(secs => $2) WHERE id = $1",
        world.gateway_id,
        float(seconds_ago),
    )
    for reason in (None, "replaced"):
        await admin.execute(
            """
            INSERT INTO gateway_certificates (
              user_id, gateway_id, serial, fingerprint, public_key_hash, certificate,
              not_before, not_after, revoked_at, revoked_reason
            )
            SELECT user_id, id, $2, $3, $3, '', now(), now() + interval '1 day',
              CASE WHEN $4::text IS NOT NULL THEN now() END, $4
            FROM gateways WHERE id = $1
            """,
            world.gateway_id,
            os.urandom(16).hex(),
            os.urandom(32),
            reason,
        )
    with as_gateway(tls_mosquitto, identity) as peer:
        await reconcile(outside)
        assert peer.wait_lost(1) if is_sent_away else is_heard(peer, identity)
    with as_gateway(tls_mosquitto, identity) as peer:
        assert is_heard(peer, identity)


async def test_without_dynamic_security_nothing_is_asked_of_the_broker(
    system_pool, world, tls_mosquitto
):
    settings = config.Settings(mqtt=config.Mqtt(url="mqtt://127.0.0.1:1"))
    nobody = Outside(settings, MqttSender(settings.mqtt), lambda: system_pool)
    await follow(nobody, world.gateway_id)
    await reconcile(nobody)


async def test_an_event_waits_for_a_broker_that_is_away_and_reconciliation_just_comes_again(
    outside, world, tls_mosquitto, monkeypatch
):
    monkeypatch.setattr(mqtt_sender, "_BROKER_SECONDS", 0.2)
    tls_mosquitto.stop()
    with pytest.raises(DomainError) as raised:
        await follow(outside, world.gateway_id)
    assert raised.value.code == "service.unavailable"
    await reconcile(outside)
