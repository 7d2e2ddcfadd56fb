"""Debian's pcscd with a virtual reader: a virtual NTAG 424 DNA held up, read, taken away."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec

import pytest

from firmware_bridge import sun, sun_keys
from firmware_bridge.nfc_tag import TagKind
from firmware_bridge.virtual.tag_chip import Type4Chip
from gateway.reader import NfcReader
from tests.fixtures.rings import eventually
from tests.fixtures.vpcd import HeldUp, Pcscd

if find_spec("smartcard") is None:
    # Not `missing`: PyPI has it as source only, so CI without a compiler and PC/SC's headers
    # cannot have it.
    pytest.skip("MISSING: pyscard (pip install -e '.[pcsc]')", allow_module_level=True)

from gateway import reader_pcsc

MASTER = bytes(range(16))
UID = bytes.fromhex("04a1b2c3d4e5f6")
KEYS = sun_keys.tag_keys(MASTER, UID)


def sun_chip() -> Type4Chip:
    counter = itertools.count(1)
    return Type4Chip(
        UID,
        lambda: sun.make_link(
            "https://ping.example/t",
            meta_key=KEYS.meta,
            file_key=KEYS.file,
            uid=UID,
            counter=next(counter),
        ),
    )


def counter_of(url: str) -> int:
    return sun.read(sun.parse(url), KEYS.meta, lambda _: KEYS.file).counter


class BankCard:
    """What is held up to readers by mistake."""

    kind: TagKind = "type4"
    uid = UID

    def power_up(self) -> None:
        """Nothing happens."""

    def answer(self, _command: bytes) -> bytes:
        return b"\x6d\x00"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcscd]:
    # One socket for all: PC/SC's library reads the variable once in a process.
    pcscd = Pcscd(tmp_path_factory.mktemp("pcscd"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PCSCLITE_CSOCK_NAME", str(pcscd.socket_path))
        yield pcscd
    pcscd.close()


@pytest.fixture
def pcscd(service: Pcscd) -> Iterator[Pcscd]:
    service.start()
    yield service
    service.stop()


@pytest.fixture
def reader() -> NfcReader:
    return NfcReader("pcsc", lambda: reader_pcsc.open_reader("virtual pcd"))


async def test_each_holding_up_of_a_tag_is_one_read_of_a_genuine_link(
    pcscd: Pcscd, reader: NfcReader
) -> None:
    chip = sun_chip()
    async with aclosing(reader.reads()) as reads, asyncio.timeout(20):
        found = []
        for _ in range(3):
            held = await asyncio.to_thread(HeldUp, pcscd.port, chip)
            found.append(await anext(reads))
            await asyncio.to_thread(held.take_away)
    assert [counter_of(item.url) for item in found] == [1, 2, 3]
    assert {item.uid for item in found} == {UID}
    assert (reader.is_up, reader.reads_count) == (True, 3)


async def test_a_tag_that_is_no_ring_is_counted_and_the_next_one_read(
    pcscd: Pcscd, reader: NfcReader
) -> None:
    async with aclosing(reader.reads()) as reads, asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(reads))
        other = await asyncio.to_thread(HeldUp, pcscd.port, BankCard())
        await eventually(lambda: reader.unread["no_application"], "the tag to be given up")
        await asyncio.to_thread(other.take_away)
        held = await asyncio.to_thread(HeldUp, pcscd.port, sun_chip())
        assert counter_of((await waiting).url) == 1
        await asyncio.to_thread(held.take_away)
    assert reader.unread["no_application"] == 1


async def test_a_pcscd_that_dies_is_found_again(pcscd: Pcscd, reader: NfcReader) -> None:
    chip = sun_chip()
    async with aclosing(reader.reads()) as reads, asyncio.timeout(30):
        held = await asyncio.to_thread(HeldUp, pcscd.port, chip)
        await anext(reads)
        await asyncio.to_thread(held.take_away)
        waiting = asyncio.ensure_future(anext(reads))
        await asyncio.to_thread(pcscd.kill)
        await eventually(lambda: not reader.is_up, "the loss to be noticed")
        assert reader.problem
        await asyncio.to_thread(pcscd.start)
        held = await asyncio.to_thread(HeldUp, pcscd.port, chip)
        assert counter_of((await waiting).url) == 2
        await asyncio.to_thread(held.take_away)
    assert reader.opens == 2
