"""Rings that demand encryption: paired once, known again after restarts, paired anew when wiped."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bumble.pairing import PairingConfig, PairingDelegate

from firmware_bridge import tap
from firmware_bridge.virtual.bonds import Bonds
from firmware_bridge.virtual.controller import RadioController
from firmware_bridge.virtual.hci_server import HciServer
from firmware_bridge.virtual.ring import VirtualRing
from gateway import link
from gateway.link import LinkState
from gateway.radio import Radio
from tests.fixtures.rings import Air, eventually


class Kept:
    """A disk that takes every record."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def observe(self, *_: object) -> None:
        pass

    async def store(self, _ring: bytes, record: tap.TapRecord, _raw: bytes, **_: object) -> bool:
        self.seqs.append(record.seq)
        return True


@pytest.fixture
async def backend(air: Air) -> AsyncIterator[str]:
    """A controller on the air that the gateway reaches as it would a dongle."""
    server = HciServer(RadioController("gateway", air.link, public_address="F0:F1:F2:F3:F4:F5"))
    await server.start("127.0.0.1", 0)
    yield f"bumble:tcp-client:127.0.0.1:{server.port}"
    await server.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch) -> None:
    monkeypatch.setattr(link, "BACKOFF_BASE_SECONDS", 0.02)
    monkeypatch.setattr(link, "BACKOFF_MAX_SECONDS", 0.1)


@asynccontextmanager
async def running(backend: str, folder: Path) -> AsyncIterator[tuple[Radio, Kept]]:
    """Run a radio on its own, as a gateway does, and end it as a gateway ends."""
    kept = Kept()
    radio = Radio([backend], kept, random.Random(1).random, slots=8, bonds=folder)
    task = asyncio.create_task(radio.run())
    try:
        yield radio, kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def count_pairings(ring: VirtualRing) -> list[int]:
    """Return a list that grows with each pairing of the ring."""
    seen: list[int] = []
    ring.device.on(
        "connection", lambda connection: connection.on("pairing", lambda _: seen.append(1))
    )
    return seen


def state(radio: Radio, ring: VirtualRing) -> LinkState | None:
    connection = radio.connections.get(str(ring.address))
    return connection.link.state if connection else None


async def live(radio: Radio, ring: VirtualRing) -> None:
    await eventually(lambda: state(radio, ring) is LinkState.LIVE, "the ring to be live", 10)


async def test_a_ring_that_demands_encryption_is_paired_and_its_taps_arrive(air, backend, tmp_path):
    ring = await air.ring(encrypted=True)
    before = await ring.press()
    pairings = count_pairings(ring)
    async with running(backend, tmp_path) as (radio, kept):
        await live(radio, ring)
        record = await ring.press()
        await eventually(lambda: record.seq in kept.seqs, "the tap")
        assert kept.seqs == [before.seq, record.seq]
    assert len(pairings) == 1


async def test_a_ring_without_encryption_is_never_paired(air, backend, tmp_path):
    ring = await air.ring()
    pairings = count_pairings(ring)
    async with running(backend, tmp_path) as (radio, _):
        await live(radio, ring)
    assert pairings == []
    assert list(tmp_path.glob("bonds-*.json")) == []


async def test_a_restarted_gateway_and_a_rebooted_ring_know_each_other_without_pairing(
    air, backend, tmp_path
):
    ring = await air.ring(encrypted=True)
    async with running(backend, tmp_path) as (radio, _):
        await live(radio, ring)
    await ring.reboot()
    pairings = count_pairings(ring)
    async with running(backend, tmp_path) as (radio, kept):
        await live(radio, ring)
        record = await ring.press()
        await eventually(lambda: record.seq in kept.seqs, "the tap")
    assert pairings == []


async def test_a_ring_that_lost_its_bond_is_paired_anew(air, backend, tmp_path):
    ring = await air.ring(encrypted=True)
    async with running(backend, tmp_path) as (radio, _):
        await live(radio, ring)
    ring.bonds.wipe()
    pairings = count_pairings(ring)
    async with running(backend, tmp_path) as (radio, kept):
        await live(radio, ring)
        record = await ring.press()
        await eventually(lambda: record.seq in kept.seqs, "the tap")
    assert len(pairings) == 1


async def test_a_gateway_that_lost_its_bonds_pairs_anew(air, backend, tmp_path):
    ring = await air.ring(encrypted=True)
    async with running(backend, tmp_path) as (radio, _):
        await live(radio, ring)
    (path,) = tmp_path.glob("bonds-*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{damaged")
    async with running(backend, tmp_path) as (radio, _):
        await live(radio, ring)
    assert len(json.loads(path.read_text())["bonds"]) == 1


async def test_a_ring_that_refuses_to_pair_is_shown_and_left_alone_ever_longer(
    air, backend, tmp_path
):
    class Refusing(PairingDelegate):
        async def accept(self) -> bool:
            return False

    ring = await air.ring(encrypted=True)
    ring.device.pairing_config_factory = lambda _: PairingConfig(delegate=Refusing())
    async with running(backend, tmp_path) as (radio, _):
        await eventually(lambda: str(ring.address) in radio.connections, "the ring")
        connection = radio.connections[str(ring.address)]
        await eventually(lambda: connection.link.reason == "auth_failed", "the reason", 10)
        await eventually(lambda: connection.link._failures == link._SLOWEST, "patience", 10)
        ring.device.pairing_config_factory = lambda _: PairingConfig()
        await live(radio, ring)


async def test_bonds_survive_in_a_file_and_a_new_file_has_a_new_address(tmp_path):
    one, other = Bonds(tmp_path / "a.json"), Bonds(tmp_path / "b.json")
    assert one.address != other.address
    one.wipe()
    assert Bonds(tmp_path / "a.json").address == one.address
    assert await one.get_all() == []
