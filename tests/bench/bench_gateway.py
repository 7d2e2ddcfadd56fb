"""What a gateway costs while nothing happens, and how much it carries."""

import os
import resource
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core import edge, mqtt_address
from firmware_bridge import tap
from firmware_bridge.virtual.memory import Memory
from tests.bench.figures import percentile
from tests.fixtures.rings import RingsProcess, ring_id, ring_key
from tests.fixtures.waiting import wait_until
from tests.gateway.claim_double import GATEWAY, claimed
from tests.gateway.processes import GatewayProcess

pytestmark = pytest.mark.bench

IDLE_RINGS = 20
IDLE_SECONDS = 20.0
BUSY_RINGS = 100
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
    """The least that can take a gateway's taps: notes their numbers, answers in batches."""

    def __init__(self, url: str) -> None:
        self.arrived: dict[tuple[bytes, int, int], float] = {}
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
            self.arrived.setdefault((event.ring, event.boot, event.seq), time.perf_counter())
            self._owed[edge.gateway_of(message.topic), event.ring, event.boot].append(event.seq)

    def _answer(self) -> None:
        while self._is_open:
            time.sleep(0.005)  # as long as a commit takes
            with self._lock:
                owed, self._owed = self._owed, defaultdict(list)
            acks: defaultdict[str, list[edge.Ack]] = defaultdict(list)
            for (gateway, ring, boot), seqs in owed.items():
                sack = [(seq, seq) for seq in seqs]
                acks[gateway].append(edge.Ack(ring=ring, boot=boot, sack=sack))
            for gateway, found in acks.items():
                payload = edge.encode(edge.AckMessage(acks=found))
                self._client.publish(edge.ack_topic(gateway), payload, qos=1)


def test_taps_of_100_rings_go_through_spool_and_broker(start_mqtt, tmp_path, monkeypatch):
    """All rings have been out of reach; now they hand over what they kept."""
    rings = RingsProcess(tmp_path, count=BUSY_RINGS)
    with monkeypatch.context() as hurried:
        hurried.setattr(os, "fsync", lambda _file: None)  # what they kept is no part of the figure
        for number in range(1, BUSY_RINGS + 1):
            fill(tmp_path / "nvm" / f"{ring_id(number).hex()}.nvm", number)
    server = start_mqtt()
    hub = QuickHub(server.url)
    folder = tmp_path / "gw"
    folder.mkdir()
    gateway = GatewayProcess(folder, url=server.gateway_url("gw-1"), ble_backend=rings.ble_backend)
    gateway.environment["PINGHUB_GATEWAY__CONNECTIONS_PER_ADAPTER"] = str(BUSY_RINGS)
    rings.start()
    wanted = BUSY_RINGS * TAPS_PER_RING
    try:
        gateway.start()
        wait_until(lambda: len(hub.arrived) >= wanted, f"{wanted} taps", 240)
    finally:
        gateway.stop()
        rings.stop()
        hub.close()
    at = sorted(hub.arrived.values())
    # Between a tenth and nine tenths: neither how long rings take to connect, nor how few are left.
    low, high = percentile(at, 0.1), percentile(at, 0.9)
    per_second = 0.8 * wanted / (high - low)
    print(f"\n{BUSY_RINGS} rings, {wanted} taps: ring -> spool (fsync) -> broker -> hub's word")
    print(f"{per_second:,.0f} taps/s in the middle, {wanted / (at[-1] - at[0]):,.0f}/s in all")
    assert per_second >= TARGET_PER_SECOND


def fill(path: Path, number: int) -> None:
    """Let a ring have kept its taps."""
    memory = Memory(path)
    for seq in range(memory.last_seq + 1, memory.last_seq + 1 + TAPS_PER_RING):
        record = tap.TapRecord(
            kind="tap_to_phone", boot=memory.boot, seq=seq, uptime_ms=seq * 10, replayed=True
        )
        memory.keep(tap.encode(record, ring_id=ring_id(number), key=ring_key(number)))
    memory.close()
