"""Reads through a whole gateway: spooled first, sent in order, forgotten on the hub's word only."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core import config
from core.edge import DEFERRED
from firmware_bridge.virtual.reader import VirtualReader
from firmware_bridge.virtual.tag_chip import Type4Chip
from gateway import reader as reader_module
from gateway.diagnose import diagnose
from gateway.spool import SpoolUnavailableError
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.rings import eventually
from tests.gateway.hub_double import HubDouble
from tests.gateway.processes import NOWHERE, GatewayProcess, running_gateway, tap_by

UID = bytes.fromhex("04a1b2c3d4e5f6")


@pytest.fixture
def server(start_mqtt) -> RestartableMqtt:
    return start_mqtt()


@pytest.fixture
def hub(server) -> Iterator[HubDouble]:
    hub = HubDouble(server.url)
    yield hub
    hub.close()


@pytest.fixture
async def virtual(tmp_path: Path) -> AsyncIterator[VirtualReader]:
    virtual = VirtualReader(tmp_path / "door.sock")
    await virtual.start()
    yield virtual
    await virtual.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "BETWEEN_SECONDS", 0.01)


class Ring:
    """Holds a tag up to a reader until it is read."""

    def __init__(self, virtual: VirtualReader) -> None:
        self._virtual = virtual
        self._numbers = itertools.count(1)
        self.shown: list[str] = []
        self._chip = Type4Chip(UID, self._next)

    async def hold_up(self) -> str:
        await eventually(lambda: self._virtual.is_attached, "the gateway to attach", 30)
        before, count = len(self.shown), self._virtual.answered
        self._virtual.hold_up(self._chip)
        # Six commands are a whole read of so short an address.
        await eventually(
            lambda: len(self.shown) > before and self._virtual.answered >= count + 6, "the read", 10
        )
        self._virtual.take_away()
        return self.shown[-1]

    def _next(self) -> str:
        self.shown.append(f"https://ping.example/t?n={next(self._numbers)}")
        return self.shown[-1]


def options(virtual: VirtualReader) -> dict[str, object]:
    return {"readers": (f"virtual:{virtual._path}",), "latitude": 48.1, "longitude": 11.5}


@pytest.mark.req("RNG-05")
async def test_a_read_reaches_the_hub_dated_and_placed_and_leaves_the_spool(
    server, hub, virtual, tmp_path
) -> None:
    ring = Ring(virtual)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options(virtual)) as gateway:
        url = await ring.hold_up()
        await eventually(lambda: hub.reads, "the read")
        (read,) = hub.reads.values()
        assert (read.url, read.uid, read.t_src) == (url, UID, "gateway")
        assert abs((read.t or 0) - read.tx_ms) < 5000
        assert (read.lat, read.lon) == (48.1, 11.5)
        assert hub.read_topics == ["ping/v1/gw/gw-1/nfc/virtual-door-sock/sun"]
        await eventually(lambda: not gateway._reads.delivery.outstanding, "the acknowledgement")
        stats = await gateway.spool.stats()
        assert (stats.reads, stats.pending, stats.sent) == (0, 0, 0)
        health = await gateway.health()
        assert [(it.reader, it.up, it.reads) for it in health.readers] == [
            ("virtual-door-sock", True, 1)
        ]


@pytest.mark.req("RNG-05")
async def test_reads_wait_while_the_hub_is_silent_one_under_way_and_all_in_order(
    server, hub, virtual, tmp_path
) -> None:
    hub.acknowledging = False
    ring = Ring(virtual)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options(virtual)) as gateway:
        for _ in range(5):
            await ring.hold_up()
        await eventually(lambda: len(hub.reads) == 1, "the first read")
        assert gateway._reads.delivery.outstanding == 1
        assert (await gateway.spool.stats()).reads == 5
        # A tap does not wait for reads.
        assert await tap_by(gateway, 1)
        await eventually(lambda: hub.rows, "the tap")
        hub.acknowledging = True
        await eventually(lambda: len(hub.reads) == 5, "all reads", 20)
    assert [read.url for read in hub.reads.values()] == ring.shown


async def test_a_refused_read_is_set_aside_with_its_reason_and_others_go_on(
    server, hub, virtual, tmp_path
) -> None:
    hub.refuse_reads = {"https://ping.example/t?n=1": "bad_tag"}
    ring = Ring(virtual)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options(virtual)) as gateway:
        await ring.hold_up()
        await ring.hold_up()
        await eventually(lambda: len(hub.reads) == 1, "the second read")
        await eventually(lambda: not gateway._reads.delivery.outstanding, "the acknowledgement")
        assert (await gateway.spool.stats()).refused == {"bad_tag": 1}
        assert len(hub.read_topics) == 2


async def test_a_deferred_read_lets_others_go_first(server, hub, virtual, tmp_path) -> None:
    hub.refuse_reads = {"https://ping.example/t?n=1": DEFERRED}
    ring = Ring(virtual)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options(virtual)) as gateway:
        await ring.hold_up()
        await ring.hold_up()
        await eventually(lambda: len(hub.reads) == 1, "the second read")
        assert (await gateway.spool.stats()).reads >= 1


async def test_a_read_that_the_disk_refuses_waits_at_the_reader(
    server, hub, virtual, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("gateway.reads.RETRY_SECONDS", 0.05)
    ring = Ring(virtual)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options(virtual)) as gateway:
        put, refused = gateway.spool.put, 0

        async def refuse(_entry: object) -> str:
            nonlocal refused
            refused += 1
            raise SpoolUnavailableError

        gateway.spool.put = refuse
        url = await ring.hold_up()
        await eventually(lambda: refused >= 2, "two attempts")
        assert hub.reads == {}
        gateway.spool.put = put
        await eventually(lambda: hub.reads, "the read")
        assert [read.url for read in hub.reads.values()] == [url]


@pytest.mark.req("RNG-05")
async def test_a_gateway_killed_between_read_and_acknowledgement_loses_no_read(
    server, hub, virtual, tmp_path
) -> None:
    hub.acknowledging = False
    home = tmp_path / "home"
    home.mkdir()
    gateway = GatewayProcess(home, url=server.gateway_url("gw-1"), ble_backend=NOWHERE)
    gateway.environment["PINGHUB_GATEWAY__READERS"] = f"virtual:{virtual._path}"
    ring = Ring(virtual)
    try:
        await asyncio.to_thread(gateway.start)
        for _ in range(3):
            await ring.hold_up()
        await eventually(lambda: _spooled(gateway) == 3, "the spool", 30)
        assert len(hub.reads) == 1
        gateway.kill()
        hub.acknowledging = True
        await asyncio.to_thread(gateway.start)
        await eventually(lambda: len(hub.reads) == len(ring.shown), "all reads", 30)
        assert {read.url for read in hub.reads.values()} == set(ring.shown)
        await eventually(lambda: _spooled(gateway) == 0, "the acknowledgements", 30)
        shown = await asyncio.to_thread(gateway.ask, "status")
        assert "nfc      virtual-door-sock: up" in shown.stdout
        diagnosis = await asyncio.to_thread(gateway.ask, "diagnose", "--json")
        found = {item["check"]: item for item in json.loads(diagnosis.stdout)}
        assert found["nfc"]["ok"]
    finally:
        await asyncio.to_thread(gateway.stop)


def _spooled(gateway: GatewayProcess) -> int:
    status = gateway.home / "gateway" / "status.json"
    return json.loads(status.read_bytes())["spool"]["reads"] if status.exists() else -1


async def test_diagnose_says_what_is_wrong_with_a_reader(virtual, tmp_path) -> None:
    def nfc(spec: str) -> tuple[bool, str]:
        settings = config.Settings(
            gateway=config.Gateway(
                readers=(spec,), ble_backend=NOWHERE, spool_path=str(tmp_path / "spool.db")
            )
        )
        (found,) = (item for item in diagnose(settings) if item.check == "nfc")
        return found.ok, found.detail

    assert await asyncio.to_thread(nfc, f"virtual:{virtual._path}") == (
        True,
        "virtual-door-sock can be opened",
    )
    is_ok, detail = await asyncio.to_thread(nfc, f"virtual:{tmp_path}/nobody.sock")
    assert not is_ok
    assert "No such file" in detail
