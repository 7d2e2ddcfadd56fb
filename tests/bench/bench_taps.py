"""How long a tap takes to its row and to a phone at 50 taps/s, beside a plain loop as the floor."""

import asyncio
import socket
import time
from typing import Any

import asyncpg
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from core import mqtt_address
from core.db.bootstrap import at_database
from firmware_bridge.cli import ask
from hub.embedded.generated import DATABASE_NAME
from tests.bench.figures import percentile, show
from tests.e2e.phone import Phone
from tests.fixtures.stack import Stack

TAPS = 1000
TAPS_PER_SECOND = 50
ROW_TARGET_SECONDS, SOCKET_TARGET_SECONDS = 0.06, 0.09

Times = dict[Any, float]


@pytest.mark.bench
async def test_a_tap_is_soon_in_the_database_and_on_the_phone(measured: Stack) -> None:
    pressed, rows, told = await _through_the_system(measured)
    floor = await _through_a_plain_loop(measured)

    to_row = [rows[tap] - pressed[tap] for tap in pressed]
    to_phone = [told[tap] - pressed[tap] for tap in pressed]
    print(f"\n{TAPS} taps at {TAPS_PER_SECOND}/s, BLE to PostgreSQL with fsync")
    show("tap -> row (polled every 2 ms)", to_row)
    show("tap -> websocket (Python SDK)", to_phone)
    show("floor: paho -> broker -> INSERT", floor)
    for name, durations in (("row", to_row), ("websocket", to_phone)):
        ratios = [percentile(durations, p) / percentile(floor, p) for p in (0.5, 0.95)]
        print(f"{name + ', ratio to the floor':36} p50 {ratios[0]:7.1f}  p95 {ratios[1]:7.1f}")
    assert percentile(to_row, 0.95) <= ROW_TARGET_SECONDS
    assert percentile(to_phone, 0.95) <= SOCKET_TARGET_SECONDS


async def _through_the_system(stack: Stack) -> tuple[Times, Times, Times]:
    settings = stack.settings
    connection = await asyncpg.connect(at_database(settings.database.superuser_url, DATABASE_NAME))
    rings = {
        row["device_id"]: str(row["id"])
        for row in await connection.fetch(
            "SELECT id, encode(device_id, 'hex') AS device_id FROM rings"
        )
    }
    phones = [_Watch(stack.url, name) for name in ("Ada Lovelace", "Grace Hopper")]
    for phone in phones:
        await phone.open()
    pressed: Times = {}
    rows: Times = {}
    polling = asyncio.create_task(_poll(connection, rows))
    device_ids = [ring["device_id"] for ring in stack.rings]
    try:
        await _press_steadily(settings.development.rings_address, device_ids, rings, pressed)
        async with asyncio.timeout(30):
            while not (  # noqa: ASYNC110  # two collections fill elsewhere
                pressed.keys() <= rows.keys()
                and pressed.keys() <= {tap for phone in phones for tap in phone.at}
            ):
                await asyncio.sleep(0.05)
    finally:
        polling.cancel()
        for phone in phones:
            await phone.close()
    return pressed, rows, {tap: at for phone in phones for tap, at in phone.at.items()}


async def _press_steadily(
    address: str, device_ids: list[str], rings: dict[str, str], pressed: Times
) -> None:
    async def press(device_id: str) -> None:
        started = time.perf_counter()
        answer = await asyncio.to_thread(ask, address, {"press": device_id})
        pressed[rings[device_id], answer["boot"], answer["seq"]] = started

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for index in range(TAPS):
            await asyncio.sleep(max(0.0, begun + index / TAPS_PER_SECOND - time.perf_counter()))
            group.create_task(press(device_ids[index % len(device_ids)]))


async def _poll(connection: Any, rows: Times) -> None:
    while True:
        # The latest half second by id: a slow transaction's rows are not missed.
        found = await connection.fetch(
            "SELECT ring_id, boot, seq FROM ring_taps ORDER BY id DESC LIMIT 25"
        )
        now = time.perf_counter()
        for row in found:
            rows.setdefault((str(row["ring_id"]), row["boot"], row["seq"]), now)
        await asyncio.sleep(0.002)


class _Watch(Phone):
    """A phone that notes when it was told."""

    def __init__(self, url: str, user_name: str) -> None:
        super().__init__(url, user_name)
        self.at: Times = {}

    async def on_publication(self, ctx: Any) -> None:
        await super().on_publication(ctx)
        for tap in self.taps[-1:]:
            self.at.setdefault(tap, time.perf_counter())


async def _through_a_plain_loop(stack: Stack) -> list[float]:
    """The least that a tap on MQTT can cost: publish, receive, INSERT and COMMIT, one by one."""
    settings = stack.settings
    connection = await asyncpg.connect(at_database(settings.database.superuser_url, DATABASE_NAME))
    await connection.execute("CREATE TABLE floor_check (n int, raw bytea)")
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    client = _mqtt_client(settings.mqtt.url)
    client.on_message = lambda _c, _u, message: loop.call_soon_threadsafe(
        arrived.put_nowait, message.payload
    )
    topic = "ping/v1/gw/floor/ring/00/tap"
    client.subscribe(topic, qos=1)
    durations: list[float] = []
    for number in range(200):
        await asyncio.sleep(1 / TAPS_PER_SECOND)
        started = time.perf_counter()
        client.publish(topic, bytes(43), qos=1)
        raw = await arrived.get()
        await connection.execute("INSERT INTO floor_check VALUES ($1, $2)", number, raw)
        durations.append(time.perf_counter() - started)
    await connection.execute("DROP TABLE floor_check")
    await connection.close()
    client.disconnect()
    client.loop_stop()
    return durations


def _mqtt_client(url: str) -> paho.Client:
    address = mqtt_address.parse(url, "mqtt.url")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(address.username, address.password)
    client.on_socket_open = lambda _client, _data, connection: connection.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )
    client.connect(address.host, address.port)
    client.loop_start()
    return client
