"""What ingest notes of gateways and of the rings that they see, and the events that follow."""

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core import edge
from core.actor import SYSTEM
from core.db import Pool, begin
from core.edge import HealthReport, RingState
from core.ids import new_id
from hub.domains.gateways import service
from hub.domains.gateways.mqtt import read_ring_state
from hub.domains.gateways.schemas import GatewayPresence, Health, Message, RingSeen
from tests.fixtures.world import World, create_world

NOW = 1_800_000_000_000


@pytest_asyncio.fixture
async def other(admin: Any, world: World) -> World:
    """Another owner with a ring and a gateway."""
    del world
    return await create_world(admin, "Grace Hopper")


async def see(pool: Pool, gateway: UUID, ring: bytes, **state: Any) -> None:
    async with begin(pool, SYSTEM) as tx:
        known = RingState(**{"link": "connected", "t": NOW} | state)
        await service.note_rings(tx, [RingSeen(gateway, ring, known)])


async def note(pool: Pool, gateway: UUID, status: Any, session: str = "s") -> None:
    async with begin(pool, SYSTEM) as tx:
        await service.note_presence(tx, [GatewayPresence(gateway, status, session)])


async def report(pool: Pool, gateway: UUID, uptime_s: int = 60, **given: Any) -> None:
    health = HealthReport(**{"session": "s", "t": NOW, "tx_ms": NOW, "uptime_s": uptime_s} | given)
    async with begin(pool, SYSTEM) as tx:
        await service.note_health(tx, [Health(gateway, health, NOW)])


async def ring_of(admin: Any, world: World) -> tuple[Any, ...]:
    row = await admin.fetchrow(
        "SELECT link, heard_by, battery_pct, firmware_version FROM rings WHERE id = $1",
        world.ring_id,
    )
    return tuple(row)


async def events(admin: Any, kind: str) -> list[Any]:
    return await admin.fetch("SELECT user_id, payload FROM events WHERE type LIKE $1", kind)


async def test_a_ring_changes_when_its_owners_gateway_says_so_and_only_then(
    admin: Any, system_pool: Pool, world: World
) -> None:
    await see(system_pool, world.gateway_id, world.device_id)
    assert (await ring_of(admin, world))[0] is None  # a retained message of one that is away
    await note(system_pool, world.gateway_id, "online")
    for _ in range(2):
        await see(system_pool, world.gateway_id, world.device_id, bat=81, fw="1.4")
    assert await ring_of(admin, world) == ("connected", world.gateway_id, 81, "1.4")
    [event] = await events(admin, "ring.changed")
    assert event["user_id"] == world.user_id
    # What it does not say stays known.
    await see(system_pool, world.gateway_id, world.device_id, link="lost")
    assert await ring_of(admin, world) == ("lost", world.gateway_id, 81, "1.4")
    assert len(await events(admin, "ring.changed")) == 2


async def test_a_strangers_gateway_cannot_tell_of_a_ring(
    admin: Any, system_pool: Pool, world: World, other: World
) -> None:
    await note(system_pool, other.gateway_id, "online")
    await see(system_pool, other.gateway_id, world.device_id, bat=1, fw="evil")
    await see(system_pool, new_id(), world.device_id, bat=1)
    assert await ring_of(admin, world) == (None, None, None, None)
    assert await events(admin, "ring.changed") == []


async def test_the_connected_gateway_speaks_until_it_is_away(
    admin: Any, system_pool: Pool, world: World
) -> None:
    second = new_id()
    await admin.execute(
        "INSERT INTO gateways (id, user_id, name) VALUES ($1, $2, 'second')", second, world.user_id
    )
    await note(system_pool, second, "online")
    await note(system_pool, world.gateway_id, "online")
    await see(system_pool, world.gateway_id, world.device_id)
    await see(system_pool, second, world.device_id, link="seen")
    assert (await ring_of(admin, world))[:2] == ("connected", world.gateway_id)
    await note(system_pool, world.gateway_id, "offline")
    assert (await ring_of(admin, world))[:2] == ("lost", world.gateway_id)
    await see(system_pool, second, world.device_id, link="seen")
    assert (await ring_of(admin, world))[:2] == ("seen", second)


async def test_an_alert_is_told_once_and_its_end_too(
    admin: Any, system_pool: Pool, world: World
) -> None:
    await note(system_pool, world.gateway_id, "online")
    for uptime_s in (1, 2, 3):
        await report(system_pool, world.gateway_id, uptime_s, delivery_alarm="held")
    await report(system_pool, world.gateway_id, 4)
    found = await admin.fetch(
        "SELECT type, user_id FROM events WHERE type IN ('gateway.alerted', 'gateway.recovered')"
        " ORDER BY id"
    )
    assert [tuple(row) for row in found] == [
        ("gateway.alerted", world.user_id),
        ("gateway.recovered", world.user_id),
    ]


async def test_a_gateway_that_stays_away_is_told_of_until_it_is_back(
    admin: Any, system_pool: Pool, world: World
) -> None:
    async def refreshed() -> list[str]:
        async with begin(system_pool, SYSTEM) as tx:
            await service.refresh_alerts(tx)
        return await admin.fetchval("SELECT alerts FROM gateways")

    assert await refreshed() == []  # never seen: nobody misses it
    await note(system_pool, world.gateway_id, "online")
    await note(system_pool, world.gateway_id, "offline")
    assert await refreshed() == []
    await admin.execute("UPDATE gateways SET last_seen_at = now() - interval '121 seconds'")
    assert await refreshed() == ["offline"]
    await note(system_pool, world.gateway_id, "online", "next")
    assert await admin.fetchval("SELECT alerts FROM gateways") == []
    assert len(await events(admin, "gateway.recovered")) == 1


async def test_refused_taps_alert_the_gateways_owner_for_an_hour(
    admin: Any, system_pool: Pool, world: World, other: World
) -> None:
    await admin.execute(
        "INSERT INTO rejected_taps (gateway_id, reason) VALUES ($1, 'bad_tag')", world.gateway_id
    )
    async with begin(system_pool, SYSTEM) as tx:
        await service.refresh_alerts(tx)
    alerts = dict(await admin.fetch("SELECT id, alerts FROM gateways"))
    assert alerts == {world.gateway_id: ["taps_rejected"], other.gateway_id: []}
    await admin.execute("UPDATE rejected_taps SET received_at = now() - interval '61 minutes'")
    async with begin(system_pool, SYSTEM) as tx:
        await service.refresh_alerts(tx)
    assert await admin.fetchval("SELECT bool_and(alerts = '{}') FROM gateways")


async def test_a_report_that_comes_late_replaces_none_that_is_newer(
    admin: Any, system_pool: Pool, world: World
) -> None:
    await report(system_pool, world.gateway_id, 60)
    await report(system_pool, world.gateway_id, 59, delivery_alarm="held")
    assert await admin.fetchval("SELECT alerts FROM gateways") == []
    assert await admin.fetchval("SELECT health ->> 'uptime_s' FROM gateways") == "60"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ping/v1/gw/{gateway}/ring/0011/state", None),
        ("ping/v1/gw/{gateway}/ring/zz112233445566ZZ/state", None),
        ("ping/v1/gw/{gateway}/ring/0011223344556677/state/x", None),
        ("ping/v1/gw/nobody/ring/0011223344556677/state", None),
        ("ping/v1/gw/{gateway}/ring/0011223344556677/state", b"\xff"),
        ("ping/v1/gw/{gateway}/ring/0011223344556677/state", b"\xa1\x64link\x63odd"),
    ],
)
def test_a_ring_state_that_makes_no_sense_says_nothing(topic: str, payload: bytes | None) -> None:
    good = edge.encode(RingState(link="seen", t=1))
    message = Message(topic.format(gateway=new_id()), good if payload is None else payload, 0)
    assert read_ring_state(message) is None


def test_a_ring_state_is_read_from_its_own_topic() -> None:
    gateway, state = new_id(), RingState(link="seen", t=1, rssi=-60, bat=5, fw="1")
    topic = edge.ring_state_topic(gateway, bytes(range(8)))
    found = read_ring_state(Message(topic, edge.encode(state), 0))
    assert found == RingSeen(gateway, bytes(range(8)), state)


async def test_a_thousand_gateways_that_lie_do_not_end_the_figures_of_all(
    system_pool: Pool, admin: Any, world: World
) -> None:
    await admin.execute(
        """
        INSERT INTO gateways (user_id, name, last_seen_at, health)
        SELECT $1, n::text, now(), '{"t": 1, "spool": {"pending": 9007199254740991}}'
        FROM generate_series(1, 1100) AS n
        """,
        world.user_id,
    )
    async with begin(system_pool, SYSTEM) as tx:
        status = await service.edge_status(tx, 1)
    assert status.offline >= 1100
