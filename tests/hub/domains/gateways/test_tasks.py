"""What a gateway is wanted to do waits for it at the broker, and goes when it is cast out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest_asyncio

from core import clock, config, edge
from core.actor import SYSTEM
from core.db import Pool, begin
from core.edge import Desired
from core.ids import new_id
from hub.domains.events.schemas import Event
from hub.domains.gateways import tasks
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from tests.fixtures.mqtt_gateway import MqttGateway
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import World


@pytest_asyncio.fixture
async def outside(mqtt_server: Any) -> AsyncIterator[Outside]:
    settings = config.Settings(mqtt=config.Mqtt(url=mqtt_server.url))
    sender = MqttSender(settings.mqtt)
    yield Outside(settings, sender)
    await sender.close()


async def react(pool: Pool, gateway: UUID, outside: Outside) -> None:
    event = Event(new_id(), "gateway.configured", None, gateway, msgspec.Raw(b"{}"), clock.now())
    async with begin(pool, SYSTEM) as tx:
        errand = await tasks.publish_config(tx, event)
    await errand(outside)


async def test_a_configuration_is_retained_for_a_gateway_that_is_away(
    admin: Any, system_pool: Pool, world: World, mqtt_server: Any, outside: Outside
) -> None:
    await admin.execute("""UPDATE gateways SET config_rev = 2, config = '{"health_seconds": 30}'""")
    await react(system_pool, world.gateway_id, outside)
    topic = edge.config_topic(world.gateway_id)
    with MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway:
        gateway.subscribe(topic)
        await asyncio.to_thread(wait_until, lambda: topic in gateway.payloads, "configuration")
        found = edge.decode(gateway.payloads[topic], Desired)
    assert (found.rev, found.desired) == (2, {"health_seconds": 30})


async def test_nothing_is_left_for_a_gateway_that_was_cast_out(
    admin: Any, system_pool: Pool, world: World, mqtt_server: Any, outside: Outside
) -> None:
    await admin.execute("UPDATE gateways SET config_rev = 1")
    await react(system_pool, world.gateway_id, outside)
    await admin.execute("UPDATE gateways SET revoked_at = now()")
    await react(system_pool, world.gateway_id, outside)
    topic = edge.config_topic(world.gateway_id)
    with MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway:
        gateway.subscribe(topic)
        # Retained messages come before what is published after the subscription.
        await outside.mqtt.publish(topic, b"live")
        await asyncio.to_thread(wait_until, lambda: topic in gateway.payloads, "live message")
    assert gateway.heard == [topic]
