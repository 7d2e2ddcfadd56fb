"""How many verified taps a second one ingest process commits, and how long a lone tap takes."""

import asyncio
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from core import edge, mqtt_address
from core.crypto import FieldCipher, KeyRing
from core.db import Pool
from hub.domains.reads.service import TagKeys
from hub.domains.taps.service import RingKeys
from hub.processes import ingest
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.mqtt_gateway import MqttGateway
from tests.fixtures.postgres import Database
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY, SUN_MASTER_KEY, connect, create_world

TAPS = 10_000
PLAIN_TAPS = 1_000
BATCH = 256
WINDOW = 600
TARGET_PER_SECOND = 3_000


@pytest.mark.bench
async def test_batches_are_verified_and_committed(database: Database) -> None:
    admin = await connect(database)
    worlds = [await create_world(admin, f"user {number}") for number in range(20)]
    taps = [worlds[n % 20].message(n // 20 + 1) for n in range(TAPS)]
    pool = await Pool.open(database.system_url)
    cipher = FieldCipher(KeyRing.parse(FIELD_KEYS))
    keys = ingest.Keys(
        rings=RingKeys(cipher, 30.0),
        tags=TagKeys(SUN_MASTER_KEY, INDEX_KEY, cipher),
    )
    started = time.perf_counter()
    for first in range(0, TAPS, BATCH):
        await ingest.ingest_batch(pool, keys, taps[first : first + BATCH])
    per_second = TAPS / (time.perf_counter() - started)
    floor = await _floor(admin)
    print(f"\nverify and commit, {BATCH} a batch      {per_second:10,.0f} taps/s")
    print(f"floor: INSERT … unnest without triggers {floor:10,.0f} rows/s")
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == TAPS
    await pool.close()
    await admin.close()
    assert per_second >= TARGET_PER_SECOND


@pytest.mark.bench
async def test_taps_from_the_broker_to_the_row_and_back(
    database: Database, mqtt_server: Any, tmp_path: Path
) -> None:
    admin = await connect(database)
    world = await create_world(admin)
    settings = environment(tmp_path, database, mqtt_url=mqtt_server.url)
    with (
        HubProcess("ingest", settings, tmp_path / "ingest.log") as process,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        process.ready()
        waits = [_tap_and_wait(gateway, world.message(seq)) for seq in range(1, 201)]
        started = time.perf_counter()
        _send_windowed(gateway, [world.message(seq) for seq in range(201, 201 + TAPS)])
        per_second = TAPS / (time.perf_counter() - started)
    cuts = statistics.quantiles(waits, n=100)
    print(f"\nMQTT to commit to acknowledgement       {per_second:10,.0f} taps/s")
    print(f"one tap at a time: p50 {cuts[49]:.1f} p95 {cuts[94]:.1f} p99 {cuts[98]:.1f} ms")
    await admin.close()


@pytest.mark.bench
@pytest.mark.parametrize("processes", [1, 2])
async def test_ingest_processes_share_the_taps(
    database: Database, mqtt_server: Any, tmp_path: Path, processes: int
) -> None:
    """One gateway, twenty rings; the broker deals their taps out to the processes."""
    admin = await connect(database)
    worlds = [await create_world(admin, f"user {number}") for number in range(20)]
    gateway_id = worlds[0].gateway_id
    messages = [
        msgspec.structs.replace(
            worlds[n % 20].message(n // 20 + 1),
            topic=edge.tap_topic(gateway_id, worlds[n % 20].device_id),
        )
        for n in range(TAPS)
    ]
    settings = environment(tmp_path, database, mqtt_url=mqtt_server.url)
    with ExitStack() as running:
        started = [
            running.enter_context(HubProcess("ingest", settings, tmp_path / f"ingest-{number}.log"))
            for number in range(processes)
        ]
        for process in started:
            process.ready()
        url = mqtt_server.gateway_url(str(gateway_id))
        gateway = running.enter_context(MqttGateway(url, gateway_id))
        cpu = [_cpu_seconds(process.pid) for process in started]
        began = time.perf_counter()
        _send_windowed(gateway, messages)
        per_second = TAPS / (time.perf_counter() - began)
        spent = [_cpu_seconds(process.pid) - at for process, at in zip(started, cpu, strict=True)]
    assert await admin.fetchval("SELECT count(*) FROM ring_taps") == TAPS
    await admin.close()
    print(f"\n{processes} ingest, MQTT to commit and back     {per_second:10,.0f} taps/s")
    shares = ", ".join(f"{seconds / TAPS * 1e6:.0f}" for seconds in spent)
    print(f"CPU of each, microseconds for each tap of all: {shares}")
    # Each has its part; how much more two carry depends on the cores that are left for them.
    assert min(spent) > 0.25 * max(spent)


@pytest.mark.bench
async def test_a_plain_loop_is_the_floor(database: Database, mqtt_server: Any) -> None:
    """Paho, broker, one INSERT and its COMMIT for each message; nothing is verified."""
    admin = await connect(database)
    await admin.execute("CREATE TABLE plain (n int, raw bytea)")
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    client = _plain_client(mqtt_server.url)
    client.on_message = lambda _c, _u, message: loop.call_soon_threadsafe(
        arrived.put_nowait, bytes(message.payload)
    )
    client.subscribe("ping/v1/gw/floor/ring/00/tap", qos=1)
    began = time.perf_counter()
    for number in range(PLAIN_TAPS):
        client.publish("ping/v1/gw/floor/ring/00/tap", number.to_bytes(43, "big"), qos=1)
    for number in range(PLAIN_TAPS):
        await admin.execute("INSERT INTO plain VALUES ($1, $2)", number, await arrived.get())
    per_second = PLAIN_TAPS / (time.perf_counter() - began)
    print(f"\nfloor: paho -> broker -> INSERT        {per_second:10,.0f} taps/s")
    client.disconnect()
    client.loop_stop()
    await admin.close()


def _plain_client(url: str) -> Client:
    address = mqtt_address.parse(url, "mqtt.url")
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(address.username, address.password)
    client.max_inflight_messages_set(WINDOW)
    client.connect(address.host, address.port)
    client.loop_start()
    return client


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tap_and_wait(gateway: MqttGateway, message: Any) -> float:
    started = time.perf_counter()
    seen = len(gateway.acks)
    gateway.send(message)
    while len(gateway.acks) == seen:
        time.sleep(0.0002)
    return (time.perf_counter() - started) * 1000


def _send_windowed(gateway: MqttGateway, messages: list[Any]) -> None:
    """Send with a window, as gateways do: a broker drops what it cannot queue."""
    gateway.acks.clear()
    sent = 0
    deadline = time.monotonic() + 120
    while (committed := gateway.count_committed()) < len(messages):
        room = WINDOW - (sent - committed)
        gateway.send(*messages[sent : sent + room])
        sent = min(len(messages), sent + room)
        time.sleep(0.001)
        assert time.monotonic() < deadline, f"{committed} of {len(messages)} acknowledged"


async def _floor(admin: Any) -> float:
    await admin.execute(
        "CREATE TEMPORARY TABLE floor (id uuid, boot bigint, seq bigint, raw bytea)"
    )
    started = time.perf_counter()
    for first in range(0, TAPS, BATCH):
        numbers = range(first, first + BATCH)
        await admin.execute(
            """
            INSERT INTO floor (id, boot, seq, raw)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[])
            """,
            [uuid4() for _ in numbers],
            [1 for _ in numbers],
            list(numbers),
            [bytes(43) for _ in numbers],
        )
    return TAPS / (time.perf_counter() - started)
