"""NFC readers: a port for whatever hardware, and what turns tags held up to it into reads.

A reader is opened again and again with growing pauses; a tag is read once each time it is held up,
within `READ_SECONDS`, whatever it answers. Nothing here knows a make of reader.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, Protocol

import msgspec

from core import clock, log
from core.pause import pause_seconds
from firmware_bridge import nfc_tag
from firmware_bridge.nfc_tag import TagError, TagKind
from gateway import counters

READ_SECONDS: Final = 3.0
"""A hand holds a ring so long; a tag that takes longer is trickling on purpose."""
SAME_SECONDS: Final = 2.0
"""The same address of the same tag within this time: it was not taken away but trembled."""
BETWEEN_SECONDS: Final = 0.2
"""No hand changes tags faster."""
OPEN_PAUSE_FACTOR: Final = 5.0
"""Readers are plugged in by people: looking every ten seconds is often enough."""

_log = log.get("gateway.nfc")


class ReaderLostError(Exception):
    """The reader cannot be opened, or it went away."""


class CardLostError(Exception):
    """The tag was taken away, or does not answer."""


class Card(Protocol):
    """A tag in the field."""

    @property
    def kind(self) -> TagKind: ...
    @property
    def uid(self) -> bytes | None: ...

    async def exchange(self, command: bytes) -> bytes:
        """Return the tag's answer, empty for none; may raise CardLostError, ReaderLostError."""
        ...

    async def removed(self) -> None:
        """Wait until the tag is gone; may raise ReaderLostError."""
        ...


class Device(Protocol):
    """An open reader."""

    async def next_card(self) -> Card:
        """Wait until a tag is held up; may raise ReaderLostError."""
        ...


Open = Callable[[], AbstractAsyncContextManager[Device]]
"""Opens a reader, or raises ReaderLostError."""


class Found(msgspec.Struct, frozen=True):
    """One read: an address, and what the tag called itself."""

    url: str
    uid: bytes | None


class NfcReader:
    """One reader; `reads` yields what is held up to it."""

    def __init__(self, name: str, opener: Open) -> None:
        """`name` is its part of topics."""
        self.name = name
        self._open = opener
        self.is_up = False
        self.opens = 0
        self.reads_count = 0
        self.unread: Counter[str] = Counter()
        """Tags that gave no address, by problem."""
        self.problem = ""
        self._last: tuple[Found, float] | None = None

    async def reads(self) -> AsyncGenerator[Found]:
        """Yield reads for ever; the next tag is looked at when the last read was taken."""
        failures = 0
        while True:
            try:
                async with self._open() as device:
                    self._opened()
                    failures = 0
                    while True:
                        card = await device.next_card()
                        found = await self._read(card)
                        if found is not None:
                            yield found
                        await card.removed()
                        await asyncio.sleep(BETWEEN_SECONDS)
            except ReaderLostError as error:
                self._lost(str(error))
            except Exception:  # noqa: BLE001  # a driver's fault costs a new start of its reader, no more
                _log.exception("reader_failed", reader=self.name)
                self._lost("its driver failed")
            failures += 1
            await asyncio.sleep(pause_seconds(failures) * OPEN_PAUSE_FACTOR)

    async def _read(self, card: Card) -> Found | None:
        """Return what a tag shows, None when that is nothing new or nothing at all."""
        problem = "lost"
        try:
            async with asyncio.timeout(READ_SECONDS):
                url = nfc_tag.read_message(await _message(card)).uri
        except TagError as error:
            problem = error.problem
        except TimeoutError:
            problem = "slow"
        except CardLostError:
            pass
        else:
            return self._unless_repeated(Found(url, card.uid))
        self.unread[problem] += 1
        counters.TAGS_UNREAD.labels(problem).inc()
        _log.warning("tag_unread", reader=self.name, problem=problem)
        return None

    def _unless_repeated(self, found: Found) -> Found | None:
        now = clock.monotonic_seconds()
        last, self._last = self._last, (found, now)
        if last is not None and last[0] == found and now - last[1] < SAME_SECONDS:
            return None
        self.reads_count += 1
        return found

    def _opened(self) -> None:
        self.is_up = True
        self.problem = ""
        self.opens += 1
        _log.info("reader_opened", reader=self.name)

    def _lost(self, problem: str) -> None:
        if self.is_up or self.problem != problem:
            _log.warning("reader_lost", reader=self.name, reason=problem)
        self.is_up = False
        self.problem = problem


async def _message(card: Card) -> bytes:
    """Lead the dialogue with a tag to its end."""
    dialogue = nfc_tag.read_tag(card.kind)
    command = next(dialogue)
    while True:
        answer = await card.exchange(command)
        try:
            command = dialogue.send(answer)
        except StopIteration as end:
            return end.value


async def is_openable(opener: Open) -> str:
    """Open a reader and close it; return what is wrong, or nothing."""
    with suppress(TimeoutError):
        try:
            async with asyncio.timeout(READ_SECONDS), opener():
                return ""
        except ReaderLostError as error:
            return str(error)
    return "it does not answer"
