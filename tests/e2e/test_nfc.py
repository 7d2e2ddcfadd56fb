"""From the card to the row: a ring's tag held up to a gateway's reader becomes one verified tap."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.virtual.reader import VirtualReader
from firmware_bridge.virtual.tag_chip import Type4Chip
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.postgres import Database
from tests.fixtures.rings import eventually
from tests.fixtures.tags import SUN_UID, give_tag, link
from tests.fixtures.vpcd import HeldUp, Pcscd
from tests.fixtures.world import World
from tests.gateway.processes import NOWHERE, GatewayProcess

StartGateway = Callable[..., GatewayProcess]


@pytest.fixture
def start_ingest(tmp_path: Path, database: Database, mqtt_server: Any) -> Callable[[], HubProcess]:
    settings = environment(tmp_path, database, mqtt_url=mqtt_server.url)
    return lambda: HubProcess("ingest", settings, tmp_path / "ingest.log")


@pytest.fixture
def gateway(tmp_path: Path, world: World, mqtt_server: Any) -> Iterator[GatewayProcess]:
    home = tmp_path / "gateway-home"
    home.mkdir()
    name = str(world.gateway_id)
    url = mqtt_server.gateway_url(name)
    process = GatewayProcess(home, url=url, ble_backend=NOWHERE, gateway=name)
    yield process
    process.stop()


@pytest.fixture
async def virtual(tmp_path: Path) -> AsyncIterator[VirtualReader]:
    virtual = VirtualReader(tmp_path / "door.sock")
    await virtual.start()
    yield virtual
    await virtual.stop()


def counting_chip() -> Type4Chip:
    counter = itertools.count(1)
    return Type4Chip(SUN_UID, lambda: link(next(counter)))


def spooled(gateway: GatewayProcess) -> int:
    status = json.loads((gateway.home / "gateway" / "status.json").read_bytes())
    return status["spool"]["reads"]


async def rows(admin: Any) -> list[tuple[Any, ...]]:
    found = await admin.fetch("SELECT source, boot, seq, verified FROM ring_taps ORDER BY seq")
    return [tuple(row) for row in found]


async def until_rows(admin: Any, count: int) -> None:
    async with asyncio.timeout(30):
        while len(await rows(admin)) < count:  # noqa: ASYNC110  # the database tells nobody
            await asyncio.sleep(0.02)


async def hold_up(virtual: VirtualReader, chip: Type4Chip) -> None:
    await eventually(lambda: virtual.is_attached, "the gateway to attach", 30)
    before = virtual.answered
    virtual.hold_up(chip)
    await eventually(lambda: virtual.answered >= before + 6, "the read", 30)
    virtual.take_away()


@pytest.mark.req("RNG-05")
async def test_reads_survive_the_death_of_gateway_and_ingest_and_count_once(
    admin: Any, world: World, virtual: VirtualReader, gateway: GatewayProcess, start_ingest
) -> None:
    ring = await give_tag(admin, world, SUN_UID, has_keys=True)
    gateway.environment["PINGHUB_GATEWAY__READERS"] = f"virtual:{virtual._path}"
    chip = counting_chip()
    with start_ingest() as ingest:
        ingest.ready()
        await asyncio.to_thread(gateway.start)
        await hold_up(virtual, chip)
        await until_rows(admin, 1)
        ingest.kill()
    for _ in range(3):
        await hold_up(virtual, chip)
    await eventually(lambda: spooled(gateway) == 3, "the spool", 30)
    gateway.kill()
    with start_ingest() as ingest:
        ingest.ready()
        await asyncio.to_thread(gateway.start)
        await until_rows(admin, 4)
        await hold_up(virtual, chip)
        await until_rows(admin, 5)
        assert ingest.stop() == 0
    assert await rows(admin) == [("reader", 0, counter, True) for counter in range(1, 6)]
    assert await admin.fetchval("SELECT sun_counter FROM rings WHERE id = $1", ring) == 5
    assert await admin.fetchval("SELECT count(*) FROM rejected_taps") == 0


async def test_a_card_on_a_pcsc_reader_becomes_a_row(
    admin: Any,
    world: World,
    gateway: GatewayProcess,
    start_ingest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if find_spec("smartcard") is None:
        # As in tests/gateway/test_reader_pcsc.py.
        pytest.skip("MISSING: pyscard (pip install -e '.[pcsc]')")
    await give_tag(admin, world, SUN_UID, has_keys=True)
    pcscd = Pcscd(tmp_path_factory.mktemp("pcscd"))
    gateway.environment["PINGHUB_GATEWAY__READERS"] = "pcsc"
    gateway.environment["PCSCLITE_CSOCK_NAME"] = str(pcscd.socket_path)
    chip = counting_chip()
    try:
        await asyncio.to_thread(pcscd.start)
        with start_ingest() as ingest:
            ingest.ready()
            await asyncio.to_thread(gateway.start)
            held = await asyncio.to_thread(HeldUp, pcscd.port, chip)
            await until_rows(admin, 1)
            await asyncio.to_thread(held.take_away)
    finally:
        pcscd.stop()
        pcscd.close()
    assert await rows(admin) == [("reader", 0, 1, True)]
