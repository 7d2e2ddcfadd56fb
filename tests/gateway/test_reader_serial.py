"""A PN532 behind a pseudo terminal: tags of both kinds, noise on the line, a chip that dies."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from firmware_bridge import pn532, static_tag
from firmware_bridge.virtual.tag_chip import Type2Chip, Type4Chip
from gateway import reader_serial
from gateway.reader import NfcReader
from tests.fixtures.pn532 import FakePn532
from tests.fixtures.rings import eventually

UID = bytes.fromhex("04a1b2c3d4e5f6")


@pytest.fixture
def chip() -> Iterator[FakePn532]:
    with FakePn532() as chip:
        yield chip


@pytest.fixture
def reader(chip: FakePn532, monkeypatch: pytest.MonkeyPatch) -> NfcReader:
    monkeypatch.setattr(reader_serial, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(reader_serial, "COMMAND_SECONDS", 0.5)
    return NfcReader("serial", lambda: reader_serial.open_reader(chip.path))


async def test_tags_of_both_kinds_are_read_once_each_time(
    chip: FakePn532, reader: NfcReader
) -> None:
    numbers = itertools.count(1)
    ring = Type4Chip(UID, lambda: f"https://ping.example/t?n={next(numbers)}&p={'0' * 150}")
    image = static_tag.build_image("https://ping.example/r/1", chip="ntag213")
    sticker = Type2Chip(UID, static_tag.mirrored(image, uid=UID, counter=1))
    async with aclosing(reader.reads()) as reads, asyncio.timeout(10):
        urls: list[str] = []
        for tag in (ring, sticker, ring):
            chip.chip = tag
            found = await anext(reads)
            urls.append(found.url)
            assert found.uid == UID
            chip.chip = None
    assert [url.partition("&")[0] for url in urls] == [
        "https://ping.example/t?n=1",
        "https://ping.example/r/1?m=04A1B2C3D4E5F6x000001",
        "https://ping.example/t?n=2",
    ]
    assert chip.commands[:2] == [pn532.START, pn532.FEW_RETRIES]


async def test_a_tag_that_stays_is_read_once(chip: FakePn532, reader: NfcReader) -> None:
    numbers = itertools.count(1)
    chip.chip = Type4Chip(UID, lambda: f"https://ping.example/t?n={next(numbers)}")
    async with aclosing(reader.reads()) as reads, asyncio.timeout(10):
        await anext(reads)
        waiting = asyncio.ensure_future(anext(reads))
        looks = len(chip.commands)
        await eventually(lambda: len(chip.commands) > looks + 10, "ten looks at the tag")
        assert not waiting.done()
        chip.chip = Type4Chip(UID, lambda: "https://ping.example/other")
        assert (await waiting).url == "https://ping.example/other"


async def test_noise_on_the_line_is_skipped(chip: FakePn532, reader: NfcReader) -> None:
    chip.noise = b"\x00\x00\xff\x03\x55\x00\xff"
    chip.chip = Type4Chip(UID, lambda: "https://ping.example/t")
    async with aclosing(reader.reads()) as reads, asyncio.timeout(10):
        assert (await anext(reads)).url == "https://ping.example/t"


async def test_a_chip_that_falls_silent_is_lost_and_found_again(
    chip: FakePn532, reader: NfcReader
) -> None:
    async with aclosing(reader.reads()) as reads, asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(reads))
        await eventually(lambda: reader.is_up, "the reader to be open")
        chip.is_mute = True
        await eventually(lambda: not reader.is_up, "the silence to be noticed")
        assert reader.problem == "it does not answer"
        chip.is_mute = False
        chip.chip = Type4Chip(UID, lambda: "https://ping.example/t")
        await waiting


async def test_an_adapter_that_is_unplugged_is_lost(chip: FakePn532, reader: NfcReader) -> None:
    async with aclosing(reader.reads()) as reads:
        waiting = asyncio.ensure_future(anext(reads))
        await eventually(lambda: reader.is_up, "the reader to be open")
        await asyncio.to_thread(chip.unplug)
        await eventually(lambda: not reader.is_up, "the loss to be noticed")
        assert reader.problem
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
