"""From the card to the row: a ring's tag held up to a gateway's reader becomes one verified tap."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

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


class Tags(NamedTuple):
    """What came of tags in the field of a gateway's readers."""

    stored: float
    unread: float


async def rows(admin: Any) -> list[tuple[Any, ...]]:
    found = await admin.fetch("SELECT source, boot, seq, verified FROM ring_taps ORDER BY seq")
    return [tuple(row) for row in found]


async def until_rows(admin: Any, count: int) -> None:
    async with asyncio.timeout(30):
        while len(await rows(admin)) < count:  # noqa: ASYNC110  # the database tells nobody
            await asyncio.sleep(0.02)


async def hold_up(gateway: GatewayProcess, virtual: VirtualReader, counter: int) -> None:
    """Hold the tag up until its read is on disk; again if it could not be read, as people do."""
    chip = Type4Chip(SUN_UID, lambda: link(counter))
    before = await tags(gateway)
    after = before
    while after.stored == before.stored:
        await eventually(lambda: virtual.is_attached, "the gateway to attach", 30)
        virtual.hold_up(chip)
        seen, deadline = after, time.monotonic() + 30
        while (after := await tags(gateway)) == seen:
            assert time.monotonic() < deadline, f"waited 30 s for read {counter}"
            await asyncio.sleep(0.02)
        virtual.take_away()


async def tags(gateway: GatewayProcess) -> Tags:
    """Ask a gateway what came of the tags that were held up since it started."""
    async with httpx.AsyncClient(timeout=30) as client:
        text = (await client.get(f"http://127.0.0.1:{gateway.metrics_port}/metrics")).text
    values = {
        family.name: sum(item.value for item in family.samples if item.name.endswith("_total"))
        for family in text_string_to_metric_families(text)
    }
    return Tags(values["pinghub_gateway_reads"], values["pinghub_gateway_tags_unread"])


@pytest.mark.req("RNG-05")
async def test_reads_survive_the_death_of_gateway_and_ingest_and_count_once(
    admin: Any, world: World, virtual: VirtualReader, gateway: GatewayProcess, start_ingest
) -> None:
    ring = await give_tag(admin, world, SUN_UID, has_keys=True)
    gateway.environment["PINGHUB_GATEWAY__READERS"] = f"virtual:{virtual._path}"
    with start_ingest() as ingest:
        ingest.ready()
        await asyncio.to_thread(gateway.start)
        await hold_up(gateway, virtual, 1)
        await until_rows(admin, 1)
        ingest.kill()
    for counter in (2, 3, 4):
        await hold_up(gateway, virtual, counter)
    gateway.kill()
    with start_ingest() as ingest:
        ingest.ready()
        await asyncio.to_thread(gateway.start)
        await until_rows(admin, 4)
        await hold_up(gateway, virtual, 5)
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
    chip = Type4Chip(SUN_UID, lambda: link(1))
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
