"""A PN532 on a serial adapter, through pyserial (optional extra `serial`)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import serial

from firmware_bridge import nfc_tag, pn532
from firmware_bridge.nfc_tag import TagKind
from firmware_bridge.pn532 import Frame, Frames, Pn532Error, Target
from gateway.reader import CardLostError, ReaderLostError

BAUD: Final = 115_200
COMMAND_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.1
_CHUNK_BYTES: Final = 512


class SerialCard:
    """A tag in the field of a PN532."""

    def __init__(self, device: "Pn532", target: Target) -> None:
        self.target = target
        self.kind: TagKind = target.kind
        self.uid: bytes | None = target.uid
        self._device = device

    async def exchange(self, command: bytes) -> bytes:
        """Return the tag's answer."""
        try:
            answer = await self._device.command(pn532.exchange(self.target, command))
            return pn532.read_exchange(answer)
        except Pn532Error as error:
            raise CardLostError(str(error)) from None

    async def removed(self) -> None:
        """Wait until the tag is gone.

        It stays selected meanwhile: a tag with a random UID would be found anew for ever.
        """
        try:
            is_present = True
            while is_present:
                await asyncio.sleep(POLL_SECONDS)
                is_present = await self._is_present()
        except (CardLostError, Pn532Error):
            pass  # it does not answer
        with suppress(Pn532Error):
            await self._device.command(pn532.release(self.target))

    async def _is_present(self) -> bool:
        if self.kind == "type2":
            return bool(await self.exchange(nfc_tag.read_pages(0)))
        return await self._device.command(pn532.PRESENCE) == pn532.PRESENT


class Pn532:
    """The chip on an open line."""

    def __init__(self, line: serial.Serial) -> None:
        self._line: Any = line
        self._frames = Frames()
        self._inbox: deque[Frame] = deque()
        self._arrived = asyncio.Event()
        self._problem = ""
        asyncio.get_running_loop().add_reader(line.fileno(), self._read)

    def close(self) -> None:
        """Close the line."""
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        self._line.close()

    async def start(self) -> None:
        """Wake the chip and set it up."""
        self._write(pn532.WAKE_UP)
        await self._set_up(pn532.START)
        await self._set_up(pn532.FEW_RETRIES)

    async def next_card(self) -> SerialCard:
        """Wait until a tag is held up."""
        while True:
            try:
                target = pn532.read_target(await self.command(pn532.POLL))
            except Pn532Error:
                target = None  # a tag that went away while it was asked for its UID
            if target is not None:
                return SerialCard(self, target)
            await asyncio.sleep(POLL_SECONDS)

    async def command(self, content: bytes) -> bytes:
        """Return the data of the chip's response; may raise Pn532Error, ReaderLostError."""
        # Whatever a cancelled command has left: an ACK of the host ends it (UM0701-02 6.2.1.3).
        self._write(pn532.ACK)
        self._inbox.clear()
        self._write(pn532.command(content))
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                while True:
                    frame = await self._next_frame()
                    if frame == "error":
                        raise Pn532Error("the chip knows no such command")
                    if isinstance(frame, bytes) and frame[0] == content[0] + 1:
                        return pn532.response(frame, content[0])
        except TimeoutError:
            raise ReaderLostError("it does not answer") from None

    async def _set_up(self, content: bytes) -> None:
        try:
            await self.command(content)
        except Pn532Error as error:
            raise ReaderLostError(str(error)) from None

    async def _next_frame(self) -> Frame:
        while not self._inbox:
            if self._problem:
                raise ReaderLostError(self._problem)
            self._arrived.clear()
            await self._arrived.wait()
        return self._inbox.popleft()

    def _read(self) -> None:
        try:
            data = self._line.read(_CHUNK_BYTES)
        except OSError:
            data = b""
        self._inbox.extend(self._frames.feed(data))
        if not data:  # readable, and nothing to read: the end of the line
            self._problem = "it was unplugged"
            asyncio.get_running_loop().remove_reader(self._line.fileno())
        self._arrived.set()

    def _write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except OSError as error:
            raise ReaderLostError(str(error)) from None


@asynccontextmanager
async def open_reader(path: str) -> AsyncGenerator[Pn532]:
    """Open a serial line and the chip behind it, or raise ReaderLostError."""
    try:
        line = serial.Serial(path, BAUD, timeout=0, write_timeout=COMMAND_SECONDS, exclusive=True)
    except (OSError, ValueError) as error:
        raise ReaderLostError(str(error)) from None
    chip = Pn532(line)
    try:
        await chip.start()
        yield chip
    finally:
        chip.close()
