"""Readers: each tag that is held up is read once, and no tag and no reader stops the gateway."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from core.errors import ConfigError
from firmware_bridge import static_tag, sun
from firmware_bridge.nfc_tag import TagKind
from firmware_bridge.virtual.reader import VirtualReader
from firmware_bridge.virtual.simulation import RingEntry, Simulation
from firmware_bridge.virtual.tag_chip import Type2Chip, Type4Chip
from gateway import reader as reader_module
from gateway import reader_virtual
from gateway.reader import Card, Found, NfcReader, ReaderLostError
from gateway.readers import name_of, openers
from tests.fixtures.rings import eventually, ring_entry, ring_key

UID = bytes.fromhex("04a1b2c3d4e5f6")


def counting_chip() -> Type4Chip:
    numbers = itertools.count(1)
    return Type4Chip(UID, lambda: f"https://ping.example/t?n={next(numbers)}")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "READ_SECONDS", 0.3)
    monkeypatch.setattr(reader_module, "BETWEEN_SECONDS", 0.01)
    monkeypatch.setattr(reader_module, "OPEN_PAUSE_FACTOR", 0.1)


@pytest.fixture
async def virtual(tmp_path: Path) -> AsyncIterator[VirtualReader]:
    virtual = VirtualReader(tmp_path / "reader.sock")
    await virtual.start()
    yield virtual
    await virtual.stop()


class Reading:
    """What a reader has yielded so far."""

    def __init__(self, reader: NfcReader) -> None:
        self.reader = reader
        self.found: list[Found] = []

    @property
    def urls(self) -> list[str]:
        return [item.url for item in self.found]

    async def run(self) -> None:
        async with aclosing(self.reader.reads()) as reads:
            async for item in reads:
                self.found.append(item)


@asynccontextmanager
async def reading(opener: Callable[[], AbstractAsyncContextManager[object]]):
    state = Reading(NfcReader("test", opener))  # pyright: ignore[reportArgumentType]
    task = asyncio.create_task(state.run())
    try:
        yield state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def at(virtual: VirtualReader) -> Callable[[], AbstractAsyncContextManager[object]]:
    return lambda: reader_virtual.open_reader(str(virtual._path))


async def test_a_tag_is_read_once_each_time_it_is_held_up(virtual: VirtualReader) -> None:
    chip = counting_chip()
    async with reading(at(virtual)) as state:
        for number in (1, 2, 3):
            virtual.hold_up(chip)
            await eventually(lambda n=number: len(state.found) == n, "a read")
        virtual.take_away()
        assert state.urls == [f"https://ping.example/t?n={n}" for n in (1, 2, 3)]
        assert state.found[0].uid == UID


async def test_a_tag_that_trembles_is_one_read(virtual: VirtualReader) -> None:
    memory = static_tag.build_image("https://ping.example/r/1", chip="ntag213").memory
    async with reading(at(virtual)) as state:
        for _ in range(3):
            before = virtual.answered
            virtual.hold_up(Type2Chip(UID, memory))
            await eventually(lambda b=before: virtual.answered >= b + 4, "a look at the tag")
        await eventually(lambda: state.found, "a read")
        virtual.hold_up(counting_chip())
        await eventually(lambda: len(state.found) == 2, "the next tag")
    assert state.urls[1] == "https://ping.example/t?n=1"


async def test_a_reader_that_goes_away_is_opened_again(
    virtual: VirtualReader, tmp_path: Path
) -> None:
    chip = counting_chip()
    async with reading(at(virtual)) as state:
        virtual.hold_up(chip)
        await eventually(lambda: state.found, "a read")
        await virtual.stop()
        await eventually(lambda: not state.reader.is_up, "the loss to be noticed")
        assert state.reader.problem
        await virtual.start()
        await eventually(lambda: state.reader.opens == 2, "the reader to be back")
        await eventually(lambda: len(state.found) == 2, "a read")
        assert state.reader.problem == ""


class WrongCard:
    """Does to each command whatever `answer` does."""

    kind: TagKind = "type4"
    uid: bytes | None = None

    def __init__(self, answer: Callable[[], bytes]) -> None:
        self._answer = answer
        self.commands = 0

    async def exchange(self, _command: bytes) -> bytes:
        self.commands += 1
        answer = self._answer()
        if not answer:
            await asyncio.Event().wait()
        return answer

    async def removed(self) -> None:
        """It is gone at once."""


class Hand:
    """A reader to which cards are held up one after the other."""

    def __init__(self, *cards: Card) -> None:
        self._cards = list(cards)

    async def next_card(self) -> Card:
        if not self._cards:
            await asyncio.Event().wait()
        return self._cards.pop(0)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Hand"]:
        yield self


def broken() -> bytes:
    raise RuntimeError("a driver's fault")


def lost() -> bytes:
    raise reader_module.CardLostError


async def test_hostile_tags_are_counted_by_what_is_wrong_and_the_next_one_is_read() -> None:
    endless = WrongCard(lambda: bytes(15) + b"\x90\x00")
    cards = [WrongCard(lambda: b""), WrongCard(lost), WrongCard(lambda: b"\x6d\x00"), endless]
    async with reading(Hand(*cards).open) as state:
        await eventually(lambda: state.reader.unread.total() == 4, "all four")
    assert state.reader.unread["slow"] == 1
    assert state.reader.unread["lost"] == 1
    assert state.reader.unread["no_application"] == 1
    assert state.found == []
    assert endless.commands < 10


async def test_a_tag_that_trickles_is_given_up_in_time() -> None:
    async def slowly(_command: bytes) -> bytes:
        await asyncio.sleep(0.1)
        return b"\x90\x00"

    card = WrongCard(lambda: b"\x90\x00")
    card.exchange = slowly  # pyright: ignore[reportAttributeAccessIssue]
    async with reading(Hand(card).open) as state:
        await eventually(lambda: state.reader.unread.total() == 1, "the tag to be given up", 2.0)


async def test_a_fault_of_a_driver_costs_a_new_start_of_its_reader() -> None:
    async with reading(Hand(WrongCard(broken)).open) as state:
        await eventually(lambda: state.reader.opens == 2, "the reader to be opened again")
    assert state.reader.reads_count == 0


async def test_a_reader_that_cannot_be_opened_says_why_and_is_tried_again() -> None:
    attempts = 0

    @asynccontextmanager
    async def never() -> AsyncGenerator[Hand]:
        nonlocal attempts
        attempts += 1
        raise ReaderLostError("no reader")
        yield Hand()

    async with reading(never) as state:
        await eventually(lambda: attempts >= 3, "three attempts")
        assert (state.reader.is_up, state.reader.problem) == (False, "no reader")


async def test_a_virtual_rings_tag_is_held_up_by_the_control_port(tmp_path: Path) -> None:
    path = tmp_path / "door.sock"
    entry = msgspec.convert(ring_entry(1), RingEntry)
    simulation = Simulation([entry], tmp_path / "nvm", reader=path)
    hold = msgspec.json.encode({"hold": entry.device_id, "base": "https://ping.example/t"})
    await simulation.start(hci=[("127.0.0.1", 0)], control=("127.0.0.1", 0))
    try:
        assert "no gateway" in (await simulation.answer(hold)).error
        async with reading(lambda: reader_virtual.open_reader(str(path))) as state:
            await eventually(lambda: state.reader.is_up, "the reader to be open")
            for counter in (1, 2):
                assert (await simulation.answer(hold)).seq == counter
        links = [sun.parse(url) for url in state.urls]
        read = [sun.read(link, bytes(16), lambda _uid: ring_key(1)) for link in links]
        assert [item.counter for item in read] == [1, 2]
    finally:
        await simulation.stop()


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("pcsc", "pcsc"),
        ("pcsc:ACS ACR122U PICC", "pcsc-ACS-ACR122U-PICC"),
        ("serial:/dev/ttyUSB0", "serial-ttyUSB0"),
        ("virtual:/run/x.sock", "virtual-x-sock"),
        ("virtual:/run/+/#", "virtual"),
        ("serial:/dev/" + "x" * 90, "serial-" + "x" * 25),
    ],
)
def test_a_readers_name_is_one_part_of_a_topic(spec: str, name: str) -> None:
    assert name_of(spec) == name


@pytest.mark.parametrize("spec", ["", "usb", "serial:", "virtual", "nfc:/dev/x"])
def test_a_reader_that_does_not_exist_is_named_with_what_does(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.readers"):
        list(openers([spec]))


def test_two_readers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two readers"):
        list(openers(["virtual:/a/x", "virtual:/b/x"]))


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.readers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"\.\[pcsc\]"):
        list(openers(["pcsc"]))
