"""The virtual reader's driver: see firmware_bridge.virtual.reader."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from firmware_bridge.nfc_tag import TagKind
from firmware_bridge.virtual.reader import LINE_BYTES_MAX, FromReader
from gateway.reader import CardLostError, ReaderLostError


class VirtualCard:
    """A virtual tag in the field."""

    def __init__(self, device: "VirtualDevice", kind: TagKind, uid: bytes) -> None:
        self.kind: TagKind = kind
        self.uid: bytes | None = uid or None
        self.is_gone = False
        self._device = device

    async def exchange(self, command: bytes) -> bytes:
        """Return the tag's answer."""
        if self.is_gone:
            raise CardLostError
        await self._device.send(command)
        line = await self._device.next_line()
        if line.answer is None:
            self.is_gone = True
            raise CardLostError
        return bytes.fromhex(line.answer)

    async def removed(self) -> None:
        """Wait until the tag is gone."""
        while not self.is_gone:
            self.is_gone = (await self._device.next_line()).gone


class VirtualDevice:
    """The connection to a virtual reader."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def next_card(self) -> VirtualCard:
        """Wait until a tag is held up."""
        while True:
            line = await self.next_line()
            if line.kind is not None:
                return VirtualCard(self, line.kind, bytes.fromhex(line.uid))

    async def send(self, command: bytes) -> None:
        """Send a command to the tag."""
        try:
            self._writer.write(msgspec.json.encode({"send": command.hex()}) + b"\n")
            await self._writer.drain()
        except ConnectionError as error:
            raise ReaderLostError(str(error)) from None

    async def next_line(self) -> FromReader:
        """Return what the reader says next."""
        try:
            line = await self._reader.readline()
            if not line:
                raise ReaderLostError("it went away")
            return msgspec.json.decode(line, type=FromReader)
        except (ConnectionError, ValueError) as error:
            raise ReaderLostError(str(error)) from None


@asynccontextmanager
async def open_reader(path: str) -> AsyncGenerator[VirtualDevice]:
    """Attach to a virtual reader, or raise ReaderLostError."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
    except OSError as error:
        raise ReaderLostError(error.strerror or str(error)) from None
    try:
        yield VirtualDevice(reader, writer)
    finally:
        writer.close()
