"""A virtual NFC reader: a gateway attaches to its socket, and virtual tags are held up to it.

JSON lines. To the gateway: `{"kind": "type4", "uid": "04…"}` when a tag is held up, `{"answer":
"9000"}` to each of its commands, `{"gone": true}` when the tag is taken away. From the gateway:
`{"send": "00A4…"}`. One gateway at a time.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec

from firmware_bridge.nfc_tag import TagKind
from firmware_bridge.virtual.tag_chip import Chip

LINE_BYTES_MAX: Final = 4096
_Hex = Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{2})*$", max_length=2048)]


class FromReader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line to the gateway; one of `kind` (with `uid`), `answer` and `gone`."""

    kind: TagKind | None = None
    uid: _Hex = ""
    answer: _Hex | None = None
    gone: bool = False


class ToReader(msgspec.Struct, frozen=True, kw_only=True):
    """One line from the gateway."""

    send: _Hex


class VirtualReader:
    """The reader; `hold_up` and `take_away` are the hand that holds a ring."""

    def __init__(self, path: Path) -> None:
        """`path` is of the Unix socket."""
        self._path = path
        self._chip: Chip | None = None
        self._gateway: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.answered = 0
        """How many commands were answered."""

    async def start(self) -> None:
        """Listen."""
        with suppress(FileNotFoundError):
            self._path.unlink()  # of a process that was killed
        self._server = await asyncio.start_unix_server(
            self._serve, self._path, limit=LINE_BYTES_MAX
        )
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close, as if it was unplugged."""
        if self._server is not None:
            self._server.close()
            if self._gateway is not None:
                self._gateway.close()
            await self._server.wait_closed()

    @property
    def is_attached(self) -> bool:
        """Whether a gateway listens."""
        return self._gateway is not None

    def hold_up(self, chip: Chip) -> None:
        """Bring a tag into the field."""
        self.take_away()
        chip.power_up()
        self._chip = chip
        self._say(FromReader(kind=chip.kind, uid=chip.uid.hex()))

    def take_away(self) -> None:
        """Take the tag out of the field."""
        if self._chip is not None:
            self._chip = None
            self._say(FromReader(gone=True))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._gateway is not None:
            self._gateway.close()
        self._gateway = writer
        if self._chip is not None:
            self.hold_up(self._chip)
        try:
            # ValueError: a line longer than any command. Hang up.
            with suppress(ConnectionError, ValueError, msgspec.DecodeError):
                while line := await reader.readline():
                    self._answer(msgspec.json.decode(line, type=ToReader))
        finally:
            if self._gateway is writer:
                self._gateway = None
            writer.close()

    def _answer(self, asked: ToReader) -> None:
        # A tag that was taken away meanwhile has said so already.
        if self._chip is not None:
            self.answered += 1
            self._say(FromReader(answer=self._chip.answer(bytes.fromhex(asked.send)).hex()))

    def _say(self, line: FromReader) -> None:
        if self._gateway is not None:
            self._gateway.write(msgspec.json.encode(line) + b"\n")
