"""The process of the virtual rings: a link, its rings, controllers over TCP, a control port.

What it must hold: a tap that was answered to a press or notified is on disk, so SIGKILL loses
none; every start is a boot of every ring.
"""

import asyncio
import itertools
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from bumble import hci

from core import clock, log
from core.edge import TapKind
from core.errors import ConfigError
from firmware_bridge.sun_session import SunMode
from firmware_bridge.virtual import tag
from firmware_bridge.virtual.controller import RadioController
from firmware_bridge.virtual.hci_server import HciServer
from firmware_bridge.virtual.link import LossyLink
from firmware_bridge.virtual.memory import CAPACITY, MemoryFullError
from firmware_bridge.virtual.reader import VirtualReader
from firmware_bridge.virtual.ring import (
    ADVERTISING_INTERVAL_MS,
    NoIdentityError,
    VirtualRing,
)
from firmware_bridge.virtual.tag_chip import Type4Chip
from firmware_bridge.virtual.touch_point import TouchRefusedError

_GATEWAY_CONTROLLER: Final = "F0:F1:F2:F3:{:02X}:F5"
_LINE_BYTES_MAX: Final = 65_536
HOLD_SECONDS: Final = 1.0
_log = log.get("rings")

_Hex8 = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{16}$")]
_Hex16 = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{32}$")]
_HexUid = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{14}$")]


class RingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One ring of the rings file; what else stands there is ignored."""

    device_id: _Hex8
    tap_key: _Hex16
    id_key: _Hex16 | None = None
    name: str = ""
    nfc_uid: _HexUid | None = None
    sun_meta_key: _Hex16 | None = None
    sun_file_key: _Hex16 | None = None
    sun_mode: SunMode = "aes"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line to the control port; exactly one of the verbs is set."""

    press: str | None = None
    touch: str | None = None
    peer: str = ""
    kind: TapKind = "tap_to_phone"
    link: str | None = None
    hold: str | None = None
    base: str = "http://127.0.0.1:8000/t"
    reboot: str | None = None
    silence: str | None = None
    restore: str | None = None
    burst: Annotated[int, msgspec.Meta(ge=1, le=CAPACITY)] | None = None
    """All rings are tapped so often, at once."""
    list: bool = False


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What the control port says of one ring."""

    device_id: str
    name: str
    boot: int
    last_seq: int
    pending: int
    connected: bool


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line from the control port."""

    ok: bool
    error: str = ""
    boot: int = 0
    seq: int = 0
    link: str = ""
    rings: "list[Listed] | None" = None


def read_rings(path: Path) -> list[RingEntry]:
    """Read the rings file, or raise ConfigError."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[RingEntry])
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist: `pinghub db seed` writes it, or `pinghub edge add-rings`"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if not entries or len({entry.device_id.lower() for entry in entries}) != len(entries):
        raise ConfigError(f"{path} must list rings, each device_id once")
    return entries


class Simulation:
    """All virtual rings of a process; `start`, then drive it by `answer`, then `stop`.

    `gateways` is how many gateways are in reach of the rings, each with a controller of its own;
    `encrypted` rings speak only to who has paired with them.
    """

    def __init__(
        self,
        entries: list[RingEntry],
        home: Path,
        *,
        gateways: int = 1,
        encrypted: bool = False,
        advertise_seconds: float = ADVERTISING_INTERVAL_MS / 1000,
        reader: Path | None = None,
    ) -> None:
        """`reader` is the socket of a virtual NFC reader."""
        self.link = LossyLink()
        self._entries = {entry.device_id.lower(): entry for entry in entries}
        self.rings = {
            device_id: VirtualRing(
                self.link,
                ring_id=bytes.fromhex(device_id),
                key=bytes.fromhex(entry.tap_key),
                id_key=bytes.fromhex(entry.id_key) if entry.id_key else None,
                memory_path=home / f"{device_id}.nvm",
                name=entry.name[:29],
                encrypted=encrypted,
                advertising_interval_ms=advertise_seconds * 1000,
            )
            for device_id, entry in self._entries.items()
        }
        self.hci = [
            HciServer(
                RadioController(
                    f"gateway-{number}",
                    self.link,
                    public_address=_GATEWAY_CONTROLLER.format(number),
                )
            )
            for number in range(gateways)
        ]
        self.reader = VirtualReader(reader) if reader else None
        self.control_port = 0
        self._started: list[VirtualRing] = []
        self._control: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self, *, hci: Sequence[tuple[str, int]], control: tuple[str, int]) -> None:
        """Boot the rings, then listen; `hci` has an address for each gateway."""
        for ring in self.rings.values():
            await ring.start()
            self._started.append(ring)
        for server, address in zip(self.hci, hci, strict=True):
            await server.start(*address)
        if self.reader is not None:
            await self.reader.start()
        self._control = await asyncio.start_server(self._serve, *control, limit=_LINE_BYTES_MAX)
        self.control_port = self._control.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, switch the rings off."""
        if self._control is not None:
            self._control.close()
            for writer in tuple(self._clients):
                writer.close()
            await self._control.wait_closed()
        if self.reader is not None:
            await self.reader.stop()
        for server in self.hci:
            await server.stop()
        for ring in self._started:
            await ring.stop()

    async def press_in_turn(self, every_seconds: float) -> None:
        """Tap one ring after the other, for ever."""
        for ring in itertools.cycle(self.rings.values()):
            await asyncio.sleep(every_seconds)
            try:
                await ring.press()
            except MemoryFullError:
                _log.warning("ring_memory_full", ring=ring.ring_id.hex())

    async def answer(self, line: bytes) -> Answer:
        """Do what one control line asks; bad lines are answered, never raised."""
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            return Answer(ok=False, error=f"malformed: {error}")
        verbs = ("press", "touch", "link", "hold", "reboot", "silence", "restore")
        named = {verb: name for verb in verbs if (name := getattr(request, verb)) is not None}
        if len(named) + request.list + (request.burst is not None) != 1:
            return Answer(ok=False, error=f"malformed: one of {', '.join(verbs)}, burst, list")
        if request.list:
            return Answer(ok=True, rings=[self._listed(name) for name in self.rings])
        if request.burst is not None:
            return await self._burst(request.burst)
        ((verb, name),) = named.items()
        name = name.lower()
        if name not in self.rings:
            return Answer(ok=False, error="unknown ring")
        return await self._do(verb, name, request)

    async def _burst(self, count: int) -> Answer:
        try:
            await asyncio.gather(*(ring.burst(count) for ring in self.rings.values()))
        except MemoryFullError:
            return Answer(ok=False, error="a ring's memory is full")
        return Answer(ok=True)

    async def _do(self, verb: str, name: str, request: Request) -> Answer:
        ring = self.rings[name]
        match verb:
            case "press":
                try:
                    record = await ring.press(request.kind)
                except MemoryFullError:
                    return Answer(ok=False, error="the ring's memory is full")
                return Answer(ok=True, boot=record.boot, seq=record.seq)
            case "touch":
                return await self._touch(ring, request.peer.lower())
            case "link" | "hold":
                return await self._use_tag(verb, name, request.base)
            case "reboot":
                await ring.reboot()
            case "silence":
                self.link.silence(ring.address)
                self._lose_link(ring.address)
            case _:
                self.link.restore(ring.address)
        return Answer(ok=True, boot=ring.memory.boot)

    async def _use_tag(self, verb: str, name: str, base: str) -> Answer:
        keys, memory = tag_keys(self._entries[name]), self.rings[name].memory
        if keys is None:
            return Answer(ok=False, error="the ring has no NFC tag in the rings file")
        if verb == "link":
            return Answer(ok=True, link=tag.next_link(base, keys, memory))
        if self.reader is None or not self.reader.is_attached:
            return Answer(ok=False, error="no gateway has the virtual reader open")
        self.reader.hold_up(Type4Chip(keys.uid, lambda: tag.next_link(base, keys, memory)))
        # As long as a hand does.
        await asyncio.sleep(HOLD_SECONDS)
        self.reader.take_away()
        return Answer(ok=True, seq=memory.sun_counter)

    async def _touch(self, ring: VirtualRing, peer: str) -> Answer:
        other = self.rings.get(peer)
        if other is None or other is ring:
            return Answer(ok=False, error="unknown ring")
        try:
            record, _ = await ring.touch(other, clock.unix_ms())
        except MemoryFullError:
            return Answer(ok=False, error="a ring's memory is full")
        except (NoIdentityError, TouchRefusedError) as error:
            return Answer(ok=False, error=str(error))
        return Answer(ok=True, boot=record.boot, seq=record.seq)

    def _lose_link(self, address: hci.Address) -> None:
        # Both ends notice, as after a supervision timeout.
        for server in self.hci:
            server.controller.lose_link(address)
        for ring in self.rings.values():
            if ring.address == address and ring.controller is not None:
                ring.controller.lose_links()

    def _listed(self, device_id: str) -> Listed:
        ring = self.rings[device_id]
        status = ring.status()
        return Listed(
            device_id=device_id,
            name=ring.name,
            boot=status.boot,
            last_seq=status.last_seq,
            pending=status.pending,
            connected=ring.connected,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with suppress(ConnectionError):
                while line := await _line(reader):
                    writer.write(msgspec.json.encode(await self.answer(line)) + b"\n")
                    await writer.drain()
        finally:
            self._clients.discard(writer)
            writer.close()


async def run(
    entries: list[RingEntry],
    home: Path,
    *,
    hci: Sequence[tuple[str, int]],
    control: tuple[str, int],
    every_seconds: float | None,
    encrypted: bool = False,
    advertise_seconds: float = ADVERTISING_INTERVAL_MS / 1000,
    reader: Path | None = None,
) -> None:
    """Run the rings until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulation = Simulation(
        entries,
        home,
        gateways=len(hci),
        encrypted=encrypted,
        advertise_seconds=advertise_seconds,
        reader=reader,
    )
    try:
        await simulation.start(hci=hci, control=control)
    except OSError as error:
        await simulation.stop()
        raise ConfigError(f"the virtual rings cannot start: {error}") from None
    _log.info(
        "process_ready",
        rings=len(simulation.rings),
        hci_ports=[server.port for server in simulation.hci],
        control_port=simulation.control_port,
    )
    pressing = (
        asyncio.create_task(simulation.press_in_turn(every_seconds)) if every_seconds else None
    )
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait(
        {waiting} | ({pressing} if pressing else set()), return_when="FIRST_COMPLETED"
    )
    waiting.cancel()
    if pressing is not None:
        if pressing.done():
            pressing.result()  # only a fault ends it: let the process die of it
        pressing.cancel()
    await simulation.stop()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        return b""  # longer than any request: hang up


def tag_keys(entry: RingEntry) -> tag.TagKeys | None:
    """Return what a ring's NFC tag is personalised with; None when it has none."""
    if not (entry.nfc_uid and entry.sun_meta_key and entry.sun_file_key):
        return None
    return tag.TagKeys(
        uid=bytes.fromhex(entry.nfc_uid),
        meta_key=bytes.fromhex(entry.sun_meta_key),
        file_key=bytes.fromhex(entry.sun_file_key),
        mode=entry.sun_mode,
    )
