"""PC/SC readers, through pyscard and the machine's pcscd (optional extra `pcsc`).

Tags of type 4 take our APDUs as they are. Of storage cards, which are those of type 2, the reader
itself takes pseudo-APDUs (PC/SC part 3, 3.2.2), and its ATR says that it is one (3.1.3.2.3).
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

from firmware_bridge import nfc_tag
from firmware_bridge.nfc_tag import TagKind
from gateway.device_thread import DeviceThread
from gateway.reader import CardLostError, ReaderLostError

# By name: it is built against the machine's PC/SC, so not every place that checks types has it.
scard: Final[Any] = import_module("smartcard.scard")
WAIT_MS: Final = 500
"""How long one look for a change takes: so long an ending gateway waits for its thread."""
CALL_SECONDS: Final = 5.0
_STORAGE_CARD: Final = bytes.fromhex("A000000306")
_READ_BINARY: Final = bytes.fromhex("FFB000")
_PAGES_BYTES: Final = 16
_OK: Final = b"\x90\x00"
_UID_BYTES: Final = range(4, 11)
_EVENT_COUNT: Final = 16
"""Above these bits a state counts the tags that came and went."""
# The tag's part, not the reader's: the reader lives on.
_CARD_ERRORS: Final = frozenset(
    {
        scard.SCARD_W_REMOVED_CARD,
        scard.SCARD_W_RESET_CARD,
        scard.SCARD_W_UNRESPONSIVE_CARD,
        scard.SCARD_W_UNPOWERED_CARD,
        scard.SCARD_W_UNSUPPORTED_CARD,
        scard.SCARD_E_NO_SMARTCARD,
        scard.SCARD_E_PROTO_MISMATCH,
        scard.SCARD_E_SHARING_VIOLATION,
        scard.SCARD_E_NOT_TRANSACTED,
        scard.SCARD_F_COMM_ERROR,
    }
)


class _CardError(Exception):
    """An error that ends with the tag."""


class PcscCard:
    """A tag on a PC/SC reader."""

    def __init__(self, device: "PcscDevice", place: str, kind: TagKind, handle: int | None) -> None:
        """`place` is the reader's name at PC/SC; no handle: the tag could not be connected."""
        self.kind: TagKind = kind
        self.uid: bytes | None = None
        self._place = place
        self._handle = handle
        self._device = device
        self._is_asked = False

    async def exchange(self, command: bytes) -> bytes:
        """Return the tag's answer."""
        if not self._is_asked:
            self._is_asked = True
            await self._learn_uid()
        if self.kind == "type4":
            return await self._transmit(command)
        answer = await self._transmit(_READ_BINARY + command[1:] + bytes((_PAGES_BYTES,)))
        return answer[:-2] if answer[-2:] == _OK else b""

    async def removed(self) -> None:
        """Wait until the tag is gone."""
        await self._device.removed(self._place, self._handle)

    async def _learn_uid(self) -> None:
        # Not every reader tells.
        answer = await self._transmit(nfc_tag.GET_UID)
        if answer[-2:] == _OK and len(answer) - 2 in _UID_BYTES:
            self.uid = answer[:-2]

    async def _transmit(self, apdu: bytes) -> bytes:
        if self._handle is None:
            raise CardLostError
        return await self._device.transmit(self._handle, apdu)


class PcscDevice:
    """All readers of the machine whose names contain a part."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._thread = DeviceThread("pcsc")
        self._context: int | None = None
        self._states: dict[str, int] = {}

    async def open(self) -> None:
        """Connect to pcscd and look for readers."""
        await self._call(self._connect)

    def close(self) -> None:
        """Let everything go, as soon as the driver returns."""
        self._thread.end(self._disconnect)

    async def next_card(self) -> PcscCard:
        """Wait until a tag is held up to any of the readers."""
        while True:
            if found := await self._call(self._find_card):
                return PcscCard(self, *found)

    async def removed(self, place: str, handle: int | None) -> None:
        """Wait until the tag is gone from a reader, and let it go."""
        # It stays connected meanwhile: powered down, some readers would find it anew.
        while await self._call(self._is_still_there, place):
            pass
        if handle is not None:
            await self._call(self._let_go, handle)

    async def transmit(self, handle: int, apdu: bytes) -> bytes:
        """Send an APDU, return the answer with its status."""
        try:
            return await self._call(self._transmit, handle, apdu)
        except _CardError as error:
            raise CardLostError(str(error)) from None

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the function's
        try:
            return await self._thread.call(function, *arguments, seconds=CALL_SECONDS)
        except TimeoutError:
            raise ReaderLostError("PC/SC does not answer") from None

    # The methods below run in the thread.

    def _connect(self) -> None:
        result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        _check(result)
        self._context = context
        names: list[str]
        result, names = scard.SCardListReaders(context, [])
        if result == scard.SCARD_E_NO_READERS_AVAILABLE:
            names = []
        else:
            _check(result)
        chosen = [name for name in names if self._part.lower() in name.lower()]
        if not chosen:
            raise ReaderLostError("no such reader is plugged in" if names else "no reader")
        self._states = {name: int(scard.SCARD_STATE_UNAWARE) for name in chosen}

    def _find_card(self) -> tuple[str, TagKind, int | None] | None:
        for name, state, atr in self._changes(self._states):
            self._states[name] = state
            if state & scard.SCARD_STATE_PRESENT:
                kind: TagKind = "type2" if _STORAGE_CARD in bytes(atr) else "type4"
                return name, kind, self._connect_card(name)
        return None

    def _connect_card(self, name: str) -> int | None:
        result, handle, _ = scard.SCardConnect(
            self._context,
            name,
            scard.SCARD_SHARE_SHARED,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        try:
            _check(result)
        except _CardError:
            return None
        return handle

    def _is_still_there(self, name: str) -> bool:
        before = self._states[name]
        for _, state, _ in self._changes({name: before}):
            is_same = state >> _EVENT_COUNT == before >> _EVENT_COUNT
            # Another one is there already: it is to be found as new.
            is_other = state & scard.SCARD_STATE_PRESENT and not is_same
            self._states[name] = scard.SCARD_STATE_UNAWARE if is_other else state
        return bool(self._states[name] & scard.SCARD_STATE_PRESENT)

    def _changes(self, states: dict[str, int]) -> list[tuple[str, int, list[int]]]:
        result, found = scard.SCardGetStatusChange(self._context, WAIT_MS, list(states.items()))
        if result == scard.SCARD_E_TIMEOUT:
            return []
        _check(result)
        gone = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE
        if any(state & gone for _, state, _ in found):
            raise ReaderLostError("it was unplugged")
        return [item for item in found if item[1] & scard.SCARD_STATE_CHANGED]

    def _transmit(self, handle: int, apdu: bytes) -> bytes:
        result, answer = scard.SCardTransmit(handle, scard.SCARD_PCI_T1, list(apdu))
        _check(result)
        return bytes(answer)

    def _let_go(self, handle: int) -> None:
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def _disconnect(self) -> None:
        if self._context is not None:
            scard.SCardReleaseContext(self._context)


@asynccontextmanager
async def open_reader(part: str) -> AsyncGenerator[PcscDevice]:
    """Open the readers whose names contain `part`, or raise ReaderLostError."""
    device = PcscDevice(part)
    try:
        await device.open()
        yield device
    finally:
        device.close()


def _check(result: int) -> None:
    if result == scard.SCARD_S_SUCCESS:
        return
    message = scard.SCardGetErrorMessage(result)
    raise _CardError(message) if result in _CARD_ERRORS else ReaderLostError(message)
