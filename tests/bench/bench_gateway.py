"""What a gateway costs while nothing happens, and how much it carries."""

import multiprocessing
import os
import resource
import sqlite3
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core import edge, mqtt_address
from tests.fixtures.rings import RingsProcess
from tests.fixtures.waiting import wait_until
from tests.gateway.claim_double import GATEWAY, claimed
from tests.gateway.processes import GatewayProcess

pytestmark = pytest.mark.bench

IDLE_RINGS = 20
IDLE_SECONDS = 20.0
BUSY_RINGS = 100
ADVERTISE = "400ms"
"""A gateway may drown in a hundred that cry ten times a second; links are no part of the figure."""
TAPS_PER_RING = 200
TARGET_PER_SECOND = 2_000


@pytest.fixture(params=["login", "certificate, encrypted rings"])
def gateway(request, start_rings, tls_mosquitto, start_mqtt, tmp_path) -> Iterator[GatewayProcess]:
    is_claimed = request.param != "login"
    rings = start_rings(count=IDLE_RINGS, encrypted=is_claimed)
    folder = tmp_path / "gw"
    folder.mkdir()
    if is_claimed:
        tls_mosquitto.admit(GATEWAY)
        broker = tls_mosquitto
        claimed(folder / "gateway-identity", broker.authority, broker.gateway_url)
    url = start_mqtt().gateway_url("gw-1")
    process = GatewayProcess(folder, url=url, ble_backend=rings.ble_backend)
    process.start()
    yield process
    process.stop()


def test_idle_with_20_rings_is_small_and_quiet(gateway, request):
    wait_until(lambda: gateway.ask("status").stdout.count(" live ") == IDLE_RINGS, "the rings", 60)
    assert gateway._process is not None
    stat = Path(f"/proc/{gateway._process.pid}")
    cpu_before = _cpu_seconds(stat)
    time.sleep(IDLE_SECONDS)  # a measurement, not a wait
    cpu_percent = 100 * (_cpu_seconds(stat) - cpu_before) / IDLE_SECONDS
    rss_mib = int((stat / "statm").read_text().split()[1]) * resource.getpagesize() / 1024**2
    print(f"\nidle, {IDLE_RINGS} rings, {request.node.callspec.id}:", end=" ")
    print(f"{rss_mib:.1f} MiB resident, {cpu_percent:.2f} % of a core")
    assert rss_mib <= 60
    assert cpu_percent <= 3


def _cpu_seconds(stat: Path) -> float:
    fields = (stat / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class QuickHub:
    """The least that can take a gateway's taps: answers them in batches, by one thread."""

    def __init__(self, url: str) -> None:
        self._owed: defaultdict[tuple[str, bytes, int], list[int]] = defaultdict(list)
        self._lock = threading.Lock()
        self._is_open = True
        address = mqtt_address.parse(url, "mqtt.url")
        self._client = Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, client_id="quick-hub"
        )
        self._client.username_pw_set(address.username, address.password)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(edge.TAPS_FILTER, 1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        assert subscribed.wait(10)
        self._answering = threading.Thread(target=self._answer)
        self._answering.start()

    def close(self) -> None:
        self._is_open = False
        self._answering.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        event = edge.decode(bytes(message.payload), edge.TapEvent)
        with self._lock:
            self._owed[edge.gateway_of(message.topic), event.ring, event.boot].append(event.seq)

    def _answer(self) -> None:
        while self._is_open:
            time.sleep(0.005)  # as long as a commit takes
            with self._lock:
                owed, self._owed = self._owed, defaultdict(list)
            acks: defaultdict[str, list[edge.Ack]] = defaultdict(list)
            for (gateway, ring, boot), seqs in owed.items():
                sack = ranges_of(seqs)
                acks[gateway].append(edge.Ack(ring=ring, boot=boot, sack=sack))
            for gateway, found in acks.items():
                payload = edge.encode(edge.AckMessage(acks=found))
                self._client.publish(edge.ack_topic(gateway), payload, qos=1)


def ranges_of(seqs: list[int]) -> list[tuple[int, int]]:
    """Return the inclusive ranges that some numbers make, as ingest sends them."""
    found: list[tuple[int, int]] = []
    for seq in sorted(set(seqs)):
        if found and found[-1][1] == seq - 1:
            found[-1] = found[-1][0], seq
        else:
            found.append((seq, seq))
    return found


@pytest.fixture
def busy(start_mqtt, start_rings, tmp_path) -> Iterator[tuple[RingsProcess, GatewayProcess, str]]:
    """A gateway with links to all rings, a hub that answers it, and where the broker is."""
    server = start_mqtt()
    hub = QuickHub(server.url)
    rings = start_rings(count=BUSY_RINGS, advertise=ADVERTISE)
    folder = tmp_path / "gw"
    folder.mkdir()
    gateway = GatewayProcess(folder, url=server.gateway_url("gw-1"), ble_backend=rings.ble_backend)
    gateway.environment["PINGHUB_GATEWAY__CONNECTIONS_PER_ADAPTER"] = str(BUSY_RINGS)
    try:
        gateway.start()
        # By the rings first: each look at the gateway starts a process.
        wait_until(lambda: _listed(rings, "connected") == BUSY_RINGS, "links", 180)
        wait_until(lambda: gateway.ask("status").stdout.count(" live ") == BUSY_RINGS, "rings", 30)
        yield rings, gateway, server.url
    finally:
        gateway.stop()
        hub.close()


def test_taps_of_100_rings_go_from_press_to_the_last_acknowledgement(busy):
    """Ring -> BLE -> spool (fsync) -> broker -> hub's word -> spool empty, and ring told."""
    rings, gateway, url = busy
    wanted = BUSY_RINGS * TAPS_PER_RING
    watched = {"gateway": gateway._process, "rings": rings._process}
    stats = {name: Path(f"/proc/{process.pid}") for name, process in watched.items()}
    before = {name: _cpu_seconds(stat) for name, stat in stats.items()}
    began = time.perf_counter()
    pressing = threading.Thread(target=rings.ask, args=({"burst": TAPS_PER_RING}, 120))
    pressing.start()
    wait_until(lambda: _acknowledged(gateway) == wanted, f"{wanted} taps", 120)
    wait_until(lambda: _listed(rings, "pending") == 0, "the rings to be told")
    seconds = time.perf_counter() - began
    pressing.join()
    cpu = {name: _cpu_seconds(stat) - before[name] for name, stat in stats.items()}
    floor_seconds, floor_cpu = _floor(url, wanted)
    rss_mib = int((stats["gateway"] / "statm").read_text().split()[1]) * resource.getpagesize()
    rss_mib /= 1024**2

    print(f"\n{BUSY_RINGS} rings, {wanted} taps, load average {os.getloadavg()[0]:.1f}")
    print(f"first press to last acknowledgement {wanted / seconds:,.0f} taps/s, {rss_mib:.0f} MiB")
    for name, spent in cpu.items():
        print(f"{name:8} {1000 * spent / wanted:.3f} CPU-s per 1,000 taps")
    print(f"floor    {1000 * floor_cpu / wanted:.3f}, {wanted / floor_seconds:,.0f} taps/s")
    print(f"gateway / floor: {cpu['gateway'] / floor_cpu:.1f} of its CPU time", end=", ")
    print(f"{floor_seconds / seconds:.2f} of its rate")
    assert wanted / seconds >= TARGET_PER_SECOND


def _listed(rings: RingsProcess, field: str) -> int:
    time.sleep(0.05)  # so that looking costs little
    return sum(ring[field] for ring in rings.ask({"list": True}, 30)["rings"])


def _acknowledged(gateway: GatewayProcess) -> int:
    time.sleep(0.2)  # same: its answers are made by the process that is measured
    url = f"http://127.0.0.1:{gateway.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    name = "pinghub_gateway_taps_acknowledged_total "
    return int(float(next(line for line in lines if line.startswith(name)).split()[1]))


def _floor(url: str, count: int) -> tuple[float, float]:
    """Return seconds and CPU seconds of the least that does it: SQLite and paho, nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(floor, (url, count))


def floor(url: str, count: int) -> tuple[float, float]:
    """Commit 64 rows, publish them with QoS 1, delete them at the broker's word, and again."""
    address = mqtt_address.parse(url, "mqtt.url")
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(address.username, address.password)
    client.max_inflight_messages_set(64)
    client.connect(address.host, address.port)
    client.loop_start()
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE taps (id INTEGER PRIMARY KEY, payload BLOB)")
        began, cpu = time.perf_counter(), time.process_time()
        for first in range(0, count, 64):
            rows = [(number, bytes(150)) for number in range(first, min(first + 64, count))]
            with db:
                db.executemany("INSERT INTO taps VALUES (?, ?)", rows)
            for sent in [client.publish("bench/floor", payload, 1) for _, payload in rows]:
                sent.wait_for_publish(10)
            with db:
                db.execute("DELETE FROM taps WHERE id >= ?", (first,))
        spent = time.perf_counter() - began, time.process_time() - cpu
    client.disconnect()
    client.loop_stop()
    return spent
