"""Taps reach the database once and are acknowledged only then, whatever dies on the way."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from core import config, edge
from core.ids import new_id
from hub.domains.gateways.schemas import Message
from hub.processes.ingest import filters
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.mqtt_gateway import MqttGateway
from tests.fixtures.own_postgres import OwnPostgres
from tests.fixtures.postgres import Database
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, SUN_MASTER_KEY, World, connect, create_world

# Ends the process like a power cut after the commit, before the gateway is answered.
_DIES_AFTER_COMMIT = """
import os
from core import config
from hub.processes import ingest
from hub.providers.mqtt import MqttLink

MqttLink.publish = lambda *_: os._exit(9)
ingest.run(config.load())
"""


@pytest.fixture
def start_ingest(tmp_path: Path, database: Database, mqtt_server: Any) -> Callable[..., HubProcess]:
    """Start ingest on the session's services; `more` are further settings."""
    return lambda script="", **more: HubProcess(
        "ingest",
        {**environment(tmp_path, database, mqtt_url=mqtt_server.url), **more},
        tmp_path / "ingest.log",
        script=script,
    )


@pytest.mark.req("RNG-05")
async def test_taps_are_recorded_and_acknowledged_and_duplicates_too(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(*(world.message(seq) for seq in range(1, 21)))
        gateway.wait_for(*range(1, 21))
        gateway.acks.clear()
        gateway.send(world.message(7))
        gateway.wait_for(7)
        assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 20
        assert ingest.stop() == 0


@pytest.mark.req("RNG-05")
async def test_a_forged_tap_is_answered_with_its_reason(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    forged = world.message(2, raw=world.record(2, key=b"another key here"))
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(world.message(1), forged, world.message(3))
        gateway.wait_for(1, 3)
        assert gateway.refused == {(1, 2): "bad_tag"}
    assert await admin.fetchval("SELECT reason FROM rejected_taps") == "bad_tag"


@pytest.mark.req("RNG-05")
async def test_a_crash_between_commit_and_acknowledgement_makes_no_second_tap(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway:
        with start_ingest(_DIES_AFTER_COMMIT) as ingest:
            ingest.ready()
            gateway.send(world.message(1))
            assert ingest.wait() == 9
        assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 1
        assert gateway.acks == []
        with start_ingest() as ingest:
            ingest.ready()
            gateway.send(world.message(1))  # as a gateway does without its acknowledgement
            gateway.wait_for(1)
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 1
    assert await admin.fetchval("SELECT count(*) FROM events WHERE type = 'ring.tapped'") == 1


async def test_presence_of_a_gateway_becomes_events(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        events = "SELECT array_agg(type ORDER BY id) FROM events WHERE type LIKE 'gateway.%'"
        gateway.state("online")
        await wait_for_value(admin, events, ["gateway.online"])
        gateway.state("online")
        gateway.state("lost")
        await wait_for_value(admin, events, ["gateway.online", "gateway.offline"])


async def test_the_last_will_of_an_older_session_does_not_take_a_gateway_offline(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        sessions = "SELECT sessions FROM gateways"
        gateway.state("online", "old")
        gateway.state("online", "new")
        gateway.state("lost", "old")
        await wait_for_value(admin, sessions, ["new", "old"])
        gateway.send(world.message(1))
        gateway.wait_for(1)
        assert await admin.fetchval("SELECT status FROM gateways") == "online"
        # A session that came and went unheard is a newer one.
        gateway.state("lost", "newest")
        await wait_for_value(admin, "SELECT status FROM gateways", "offline")


async def test_a_gateway_is_told_its_configuration_until_it_has_looked_at_it(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    await admin.execute("UPDATE gateways SET config_rev = 3, config = $1", '{"health_seconds": 30}')
    topic = edge.config_topic(world.gateway_id)
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.subscribe(topic)
        gateway.send(an_info(world, edge.Reported(rev=2)))
        wait_until(lambda: topic in gateway.payloads, "the configuration")
        desired = edge.decode(gateway.payloads[topic], edge.Desired)
        assert (desired.rev, desired.desired) == (3, {"health_seconds": 30})
        refused = edge.Reported(rev=2, rejected_rev=3, reason="no")
        gateway.send(an_info(world, refused))
        reported = "SELECT (reported ->> 'rejected_rev')::int FROM gateways"
        await wait_for_value(admin, reported, 3)
        assert gateway.heard.count(topic) == 1
        assert await admin.fetchval("SELECT version FROM gateways") == "9.9"


async def test_the_newest_health_of_a_gateway_is_kept(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.state("online", "old")
        gateway.state("online", "new")
        uptime = "SELECT (health ->> 'uptime_s')::int FROM gateways"
        gateway.send(a_health(world, "new", 120))
        await wait_for_value(admin, uptime, 120)
        gateway.send(a_health(world, "new", 60), a_health(world, "old", 9000))
        gateway.send(Message(edge.health_topic(world.gateway_id), b"no health", 0))
        gateway.send(world.message(1))
        gateway.wait_for(1)
        assert await admin.fetchval(uptime) == 120
        gateway.send(a_health(world, "new", 180))
        await wait_for_value(admin, uptime, 180)


def an_info(world: World, reported: edge.Reported) -> Message:
    info = edge.GatewayInfo(session="s", t=1, version="9.9", reported=reported)
    return Message(edge.info_topic(world.gateway_id), edge.encode(info), 0)


def a_health(world: World, session: str, uptime_s: int) -> Message:
    report = edge.HealthReport(session=session, t=1, uptime_s=uptime_s)
    return Message(edge.health_topic(world.gateway_id), edge.encode(report), 0)


async def test_retained_presence_is_read_at_the_next_start(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway:
        gateway.state("online")
        with start_ingest() as ingest:
            ingest.ready()
            status = "SELECT status FROM gateways"
            await wait_for_value(admin, status, "online")


async def test_a_broker_without_mqtt_5_is_served_by_a_plain_subscription(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    url = mqtt_server.gateway_url(str(world.gateway_id))
    with (
        start_ingest(PINGHUB_MQTT__VERSION="3.1.1") as ingest,
        MqttGateway(url, world.gateway_id, MQTTProtocolVersion.MQTTv311) as gateway,
    ):
        ingest.ready()
        gateway.send(*(world.message(seq) for seq in range(1, 6)))
        gateway.wait_for(*range(1, 6))
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 5


def test_taps_are_shared_only_where_the_broker_can() -> None:
    taps, *others = filters(with_mqtt())
    assert taps.startswith("$share/hub-")
    assert taps.endswith(f"/{edge.TAPS_FILTER}")
    group = taps.removesuffix(edge.TAPS_FILTER)
    shared = [edge.READS_FILTER, edge.CSR_FILTER]
    own = [edge.STATE_FILTER, edge.INFO_FILTER, edge.HEALTH_FILTER, edge.RING_STATE_FILTER]
    assert others == [*(group + name for name in shared), *own]
    plain = [edge.TAPS_FILTER, *shared, *own]
    assert filters(with_mqtt(version="3.1.1")) == plain
    assert filters(with_mqtt(shared_subscription=False)) == plain


def test_the_group_of_the_ingest_processes_is_a_secret_of_theirs() -> None:
    group = filters(with_mqtt())[0].split("/")[1]
    assert group == filters(with_mqtt())[0].split("/")[1]
    other = config.Settings(keys=config.Keys(index_key="11" * 32))
    assert group != filters(other)[0].split("/")[1]


def with_mqtt(**options: Any) -> config.Settings:
    return config.Settings(mqtt=config.Mqtt(**options), keys=config.Keys(index_key="00" * 32))


async def test_a_gateway_that_subscribes_to_all_taps_takes_none_away(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    thief = new_id()
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(thief)), thief) as other,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        for group in ("", "$share/hub/", "$share/ingest/"):
            other.subscribe(f"{group}{edge.TAPS_FILTER}")
        # Each is sent once: what the thief got would not be acknowledged.
        gateway.send(*(world.message(seq) for seq in range(1, 41)))
        gateway.wait_for(*range(1, 41))
        assert other.heard == []
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 40


async def test_messages_that_make_no_sense_stop_nothing(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    topic = edge.tap_topic(world.gateway_id, world.device_id)
    garbage = [
        Message(topic, payload, 0)
        for payload in (b"", b"\xff" * 500, b"\xa0", b"\x9f" * 9999, world.record(1))
    ]
    elsewhere = Message(topic.replace("/ring/", "/ring/zz"), b"\xa0", 0)
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(*garbage, elsewhere, world.message(1))
        gateway.wait_for(1)
        assert gateway.refused == {}
    rows = await admin.fetch("SELECT reason, length(raw) FROM rejected_taps")
    assert len(rows) == len(garbage)
    assert all(row["reason"] == "malformed" and row["length"] <= 64 for row in rows)


async def test_an_event_of_a_newer_version_is_refused_by_its_numbers(
    world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    event = {"v": 2, "ring": world.device_id, "boot": 1, "seq": 9, "raw": b"other"}
    message = Message(edge.tap_topic(world.gateway_id, world.device_id), cbor2.dumps(event), 0)
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(message)
        wait_until(lambda: gateway.refused == {(1, 9): "malformed"}, "the refusal")


@pytest.mark.req("RNG-05")
async def test_two_ingest_processes_share_the_taps_and_record_each_once(
    admin: Any, world: World, mqtt_server: Any, tmp_path: Path, database: Database
) -> None:
    settings = environment(tmp_path, database, mqtt_url=mqtt_server.url)
    with (
        HubProcess("ingest", settings, tmp_path / "one.log") as one,
        HubProcess("ingest", settings, tmp_path / "two.log") as two,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        one.ready(), two.ready()
        gateway.send(*(world.message(seq) for seq in range(1, 101)))
        gateway.wait_for(*range(1, 101))
        one.kill()
        gateway.send(*(world.message(seq) for seq in range(1, 151)))
        gateway.wait_for(*range(1, 151))
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 150


async def test_ingest_subscribes_again_after_the_mqtt_broker_died(
    admin: Any,
    world: World,
    start_mqtt: Callable[..., RestartableMqtt],
    tmp_path: Path,
    database: Database,
) -> None:
    broker = start_mqtt()
    settings = environment(tmp_path, database, mqtt_url=broker.url)
    url = broker.gateway_url(str(world.gateway_id))
    with (
        HubProcess("ingest", settings, tmp_path / "ingest.log") as ingest,
        MqttGateway(url, world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(world.message(1))
        gateway.wait_for(1)
        broker.kill()
        broker.restart()
        # As a gateway does: again until the acknowledgement is there.
        await send_until_committed(gateway, world.message(2), (1, 2))
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 2


@pytest.mark.req("RNG-05")
async def test_while_postgresql_is_away_nothing_is_acknowledged_and_nothing_lost(
    own_postgres: OwnPostgres, mqtt_server: Any, tmp_path: Path
) -> None:
    admin = await connect(own_postgres.database)
    world = await create_world(admin)
    settings = environment(tmp_path, own_postgres.database, mqtt_url=mqtt_server.url)
    with (
        HubProcess("ingest", settings, tmp_path / "ingest.log") as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        gateway.send(world.message(1))
        gateway.wait_for(1)
        own_postgres.kill()
        gateway.acks.clear()
        gateway.send(*(world.message(seq) for seq in range(2, 40)))
        wait_until(lambda: "ingest_waits" in ingest.log.read_text(), "the outage to be seen")
        assert gateway.acks == []
        own_postgres.restart()
        gateway.wait_for(*range(2, 40))
        assert ingest.stop() == 0
    admin = await connect(own_postgres.database)
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == 39
    await admin.close()


async def test_ingest_starts_while_everything_is_down_and_stops_at_once(tmp_path: Path) -> None:
    nowhere = {
        "PINGHUB_HOME": str(tmp_path),
        "DATABASE_SYSTEM_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "MQTT_URL": "mqtt://hub:x@127.0.0.1:1",
        "PINGHUB_KEYS__FIELD_KEYS": FIELD_KEYS,
        "PINGHUB_KEYS__INDEX_KEY": INDEX_KEY.hex(),
        "PINGHUB_KEYS__SUN_MASTER_KEY": SUN_MASTER_KEY.hex(),
        "PINGHUB_LOG__LEVEL": "INFO",
    }
    with HubProcess("ingest", nowhere, tmp_path / "ingest.log") as ingest:
        wait_until(lambda: "mqtt_unreachable" in ingest.log.read_text(), "a first attempt")
        assert ingest.stop(5) == 0


async def send_until_committed(
    gateway: MqttGateway, message: Message, key: tuple[int, int], seconds: float = 15.0
) -> None:
    """Send again and again until the hub acknowledges."""
    deadline = time.monotonic() + seconds
    while key not in gateway.committed:
        assert time.monotonic() < deadline, "the tap stays unacknowledged"
        gateway.send(message)
        await asyncio.sleep(0.2)


async def wait_for_value(admin: Any, query: str, wanted: object, seconds: float = 10.0) -> None:
    """Wait until a query returns a value."""
    deadline = time.monotonic() + seconds
    while (found := await admin.fetchval(query)) != wanted:
        assert time.monotonic() < deadline, f"{query} stays {found}"
        await asyncio.sleep(0.01)


async def test_reports_that_no_column_takes_hold_nobody_up(
    admin: Any, world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    evil = await create_world(admin, "Mallory")
    ring = edge.ring_state_topic(evil.gateway_id, evil.device_id)
    nul, huge = "\0", 10**30
    session = {"session": "s", "t": 1}
    hostile = [
        (edge.state_topic(evil.gateway_id), {"state": "online", "session": nul, "t": 1}),
        (edge.state_topic(evil.gateway_id), {"state": "online", "session": "s", "t": huge}),
        (edge.info_topic(evil.gateway_id), {**session, "version": nul}),
        (edge.info_topic(evil.gateway_id), {**session, "version": "1", "adapters": [nul]}),
        (edge.health_topic(evil.gateway_id), {**session, "uptime_s": huge}),
        (edge.health_topic(evil.gateway_id), {**session, "uptime_s": 1, "delivery_alarm": nul}),
        (edge.health_topic(evil.gateway_id), {**session, "uptime_s": 1, "spool": {"pending": -1}}),
        (ring, {"link": "connected", "t": 1, "fw": nul}),
    ]
    messages = [Message(topic, cbor2.dumps(payload), 0) for topic, payload in hostile]
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
        MqttGateway(mqtt_server.gateway_url(str(evil.gateway_id)), evil.gateway_id) as mallory,
    ):
        ingest.ready()
        for seq in range(1, 9):
            mallory.send(*messages)
            gateway.send(world.message(seq))
        gateway.state("online")
        gateway.wait_for(*range(1, 9))
        online = "SELECT count(*) FROM gateways WHERE status = 'online' AND name = 'desk'"
        await wait_for_value(admin, online, 1)
        log = ingest.log.read_text()
        assert "batch_dropped" not in log
        assert "report_dropped" in log
    row = await admin.fetchrow(
        "SELECT health, version FROM gateways WHERE id = $1", evil.gateway_id
    )
    assert (row["health"], row["version"]) == (None, None)
