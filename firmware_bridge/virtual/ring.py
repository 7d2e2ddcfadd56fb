"""A virtual ring: the firmware's behaviour on a Bumble host, with durable memory.

A tap is on disk before it is notified. While a central is subscribed taps go out live; a replay
sends the kept records oldest first, and a live tap may overtake it, as on a real ring.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from bumble import hci
from bumble.att import ATT_Error, Attribute, AttributeValue, ErrorCode
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Service
from bumble.transport.common import Transport

from core.edge import TapKind
from firmware_bridge import claim, eid, gatt, tap, touch
from firmware_bridge.virtual import key_change
from firmware_bridge.virtual.advertisement import advertisement, scan_response
from firmware_bridge.virtual.bonds import Bonds
from firmware_bridge.virtual.characteristics import readable
from firmware_bridge.virtual.controller import RadioController
from firmware_bridge.virtual.link import RadioLink
from firmware_bridge.virtual.memory import Memory
from firmware_bridge.virtual.quiet_host import QuietHost
from firmware_bridge.virtual.touch_point import TouchPoint, TouchRefusedError

ADVERTISING_INTERVAL_MS: Final = 100.0
TOUCH_RSSI_DBM: Final = -30
BURST_PORTION: Final = 16
"""So many taps of a burst share one write to the ring's memory."""
_FIRMWARE: Final = "virtual-1"


def ring_address(ring_id: bytes) -> hci.Address:
    """Return the static random address of a virtual ring; the same id has the same address."""
    digest = bytearray(sha256(b"virtual-ring" + ring_id).digest()[:6])
    digest[5] |= 0xC0  # the two top bits say "static random"
    return hci.Address(bytes(digest), hci.Address.RANDOM_DEVICE_ADDRESS)


class NoIdentityError(Exception):
    """The ring has no key to make rotating identifiers from."""


class VirtualRing:
    """One ring on a link, or on a real controller; construct, `start`, `press`, `stop`."""

    def __init__(
        self,
        radio: RadioLink | Transport,
        *,
        ring_id: bytes,
        key: bytes,
        memory_path: Path,
        id_key: bytes | None = None,
        name: str = "",
        encrypted: bool = False,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ring_id = ring_id
        self.name = name or f"PING-{ring_id.hex()[-4:].upper()}"
        self.address = ring_address(ring_id)
        self.battery_pct = 80
        self.identified = 0
        self._radio = radio
        self._id_key = id_key
        self._encrypted = encrypted
        self._key = key
        self._memory_path = memory_path
        self._interval_ms = advertising_interval_ms
        self._monotonic = monotonic
        self._writing = asyncio.Lock()
        self._replay: asyncio.Task[None] | None = None
        self._replies: set[asyncio.Task[None]] = set()
        self._time_offset_ms: int | None = None
        self.touch_point = TouchPoint(monotonic=monotonic)
        self.controller: RadioController | None = None

    async def start(self) -> None:
        """Boot: count it, power the radio on, advertise."""
        self.memory = await asyncio.to_thread(Memory, self._memory_path)
        self._started_at = self._monotonic()
        self._time_offset_ms = None
        self._pressed_at: float | None = None
        self.controller = None
        if isinstance(self._radio, RadioLink):
            self.controller = RadioController(f"ring {self.ring_id.hex()}", self._radio)
            host = QuietHost()
            host.controller = self.controller
        else:
            host = QuietHost(self._radio.source, self._radio.sink)
        self.device = Device(name=self.name, address=self.address, host=host)
        self.bonds = Bonds(self._memory_path.with_suffix(".bonds"))
        self.device.keystore = self.bonds
        self._add_services()
        await self.device.power_on()
        await self.device.start_advertising(
            auto_restart=True,
            advertising_data=advertisement(),
            scan_response_data=scan_response(self.name),
            advertising_interval_min=self._interval_ms,
            advertising_interval_max=self._interval_ms,
        )

    async def stop(self) -> None:
        """Switch off; the memory stays."""
        if self._replay is not None:
            self._replay.cancel()
        async with self._writing:
            if self.controller is not None:
                self.controller.power_off()
            else:
                await self.device.power_off()
            self.memory.close()

    async def reboot(self) -> None:
        """Switch off and on again: boot goes up, seq goes on."""
        await self.stop()
        await self.start()

    @property
    def connected(self) -> bool:
        """Whether a central is connected."""
        return bool(self.device.connections)

    @property
    def subscribed(self) -> bool:
        """Whether a central receives taps live."""
        return any(self._listeners())

    def status(self) -> gatt.Status:
        """Return what a read of STATUS gives."""
        return gatt.Status(
            boot=self.memory.boot,
            last_seq=self.memory.last_seq,
            oldest_unacked=self.memory.oldest_seq,
            uptime_ms=self._uptime_ms(),
            pending=self.memory.pending_count,
        )

    async def press(
        self,
        kind: TapKind = "tap_to_phone",
        *,
        peer_eid: bytes | None = None,
        peer_ctr: int = 0,
        rssi: int | None = None,
    ) -> tap.TapRecord:
        """Tap: sign, store durably, then notify; raises MemoryFullError when nothing fits."""
        async with self._writing:
            return await self._record(kind, peer_eid=peer_eid, peer_ctr=peer_ctr, rssi=rssi)

    async def burst(self, count: int) -> None:
        """Tap so often, as fast as the link takes it; raises MemoryFullError."""
        for first in range(0, count, BURST_PORTION):
            async with self._writing:
                raws = self._sign_portion(min(BURST_PORTION, count - first))
                await asyncio.to_thread(self.memory.keep, *raws)
            for raw in raws:
                await self._notify(raw)
            for connection in self._listeners():
                await connection.drain()

    def _sign_portion(self, count: int) -> list[bytes]:
        first = self.memory.next_seq(count)
        record = tap.TapRecord(
            kind="tap_to_phone",
            boot=self.memory.boot,
            seq=first,
            uptime_ms=self._uptime_ms(),
            time_synced=self._time_offset_ms is not None,
            replayed=not self.subscribed,
        )
        return [
            tap.encode(msgspec.structs.replace(record, seq=seq), ring_id=self.ring_id, key=self.key)
            for seq in range(first, first + count)
        ]

    @property
    def key(self) -> bytes:
        """The K_tap that it signs with now."""
        keys = self.memory.slots.keys
        return self._key if keys is None else keys.tap_key

    @property
    def id_key(self) -> bytes | None:
        """The K_eid that it makes its rotating identifiers from now."""
        keys = self.memory.slots.keys
        return self._id_key if keys is None else keys.id_key

    async def touch(
        self, other: "VirtualRing", unix_ms: int, *, rssi_dbm: int = TOUCH_RSSI_DBM
    ) -> tuple[tap.TapRecord, tap.TapRecord]:
        """Touch another ring: each writes who it is over the air, then signs what it was told.

        Raises NoIdentityError or MemoryFullError, and then neither has recorded anything;
        TouchRefusedError, and then only a ring that was told has.
        """
        link = self._radio
        if not isinstance(link, RadioLink):
            raise TouchRefusedError("only rings on one link can touch")
        first, second = sorted((self, other), key=lambda ring: ring.ring_id)
        # The seq that a ring tells must be that of its next record: nothing may come between.
        async with first._writing, second._writing:  # noqa: SLF001  # of its own class
            said, answered = self._says(unix_ms), other._says(unix_ms)  # noqa: SLF001  # same
            mine, theirs = self.touch_point, other.touch_point
            async with mine.felt(link, rssi_dbm), theirs.felt(link, rssi_dbm):
                await mine.reach(theirs)
                await mine.say(said)
                # It has been told and signs that, whether or not its own word arrives.
                record = await other._touched()  # noqa: SLF001  # same
                await theirs.say(answered)
                return await self._touched(), record

    def _says(self, unix_ms: int) -> bytes:
        if self.id_key is None:
            raise NoIdentityError(f"ring {self.ring_id.hex()} has no id_key")
        shown = eid.eid(eid.derive(self.id_key), eid.window_of(unix_ms))
        return touch.encode(touch.Touch(eid=shown, seq=self.memory.next_seq()))

    async def _record(
        self,
        kind: TapKind,
        *,
        peer_eid: bytes | None = None,
        peer_ctr: int = 0,
        rssi: int | None = None,
    ) -> tap.TapRecord:
        record = tap.TapRecord(
            kind=kind,
            boot=self.memory.boot,
            seq=self.memory.next_seq(),
            uptime_ms=self._uptime_ms(),
            rssi=rssi,
            peer_eid=peer_eid,
            peer_ctr=peer_ctr,
            time_synced=self._time_offset_ms is not None,
            replayed=not self.subscribed,
            low_battery=self.battery_pct <= 15,  # noqa: PLR2004  # per cent
        )
        raw = tap.encode(record, ring_id=self.ring_id, key=self.key)
        await asyncio.to_thread(self.memory.keep, raw)
        self._pressed_at = self._monotonic()
        await self._notify(raw)
        return record

    async def _touched(self) -> tap.TapRecord:
        told = self.touch_point.told
        if told is None:
            raise TouchRefusedError("the other ring has said nothing")
        return await self._record(
            "ring_to_ring", peer_eid=told.eid, peer_ctr=told.seq, rssi=self.touch_point.rssi
        )

    async def _notify(self, raw: bytes) -> None:
        for connection in self._listeners():
            await self.device.notify_subscriber(connection, self._tap, raw)

    def _listeners(self) -> list[Connection]:
        subscribers = self.device.gatt_server.subscribers
        return [
            connection
            for connection in self.device.connections.values()
            if subscribers.get(connection, {}).get(self._tap.handle, b"\0\0")[0] & 1
            and connection.att_mtu >= tap.ATT_MTU_MIN
            and (connection.encryption or not self._encrypted)
        ]

    def _uptime_ms(self) -> int:
        return int((self._monotonic() - self._started_at) * 1000) & 0xFFFFFFFF

    async def _on_ack(self, connection: Connection, data: bytes) -> None:
        try:
            ack = gatt.decode_ack(data)
        except gatt.GattError:
            raise ATT_Error(ErrorCode.INVALID_ATTRIBUTE_LENGTH) from None
        async with self._writing:
            forgotten = self.memory.acknowledge(ack.boot, ack.seq)
        if forgotten:
            await self.device.notify_subscriber(connection, self._status)

    def _on_ctrl(self, connection: Connection, data: bytes) -> None:
        opcode = data[0] if data else 0
        try:
            command = gatt.decode_ctrl(data)
        except gatt.GattError:
            self._reply(connection, gatt.CtrlReply(opcode=opcode, result="malformed"))
            return
        match command:
            case gatt.Replay():
                if self._replay is not None:
                    self._replay.cancel()
                self._replay = asyncio.create_task(self._run_replay(connection))
                return
            case gatt.SetTime(unix_ms):
                self._time_offset_ms = unix_ms - self._uptime_ms()
                reply = gatt.CtrlReply(opcode=opcode, result="ok")
            case gatt.Identify():
                self.identified += 1
                reply = gatt.CtrlReply(opcode=opcode, result="ok")
            case gatt.RotateKey() | gatt.ConfirmKey():
                self._start_reply(self._change_keys(connection, command))
                return
            case None:
                reply = gatt.CtrlReply(opcode=opcode, result="unsupported")
        self._reply(connection, reply)

    async def _change_keys(
        self, connection: Connection, command: gatt.RotateKey | gatt.ConfirmKey
    ) -> None:
        # No record may be signed while the key changes under it.
        async with self._writing:
            match command:
                case gatt.RotateKey(challenge):
                    opcode = gatt.ROTATE_KEY
                    result = await key_change.answer(
                        self.memory,
                        challenge,
                        ring_id=self.ring_id,
                        key=self.key,
                        is_in_hand=self._is_in_hand(),
                    )
                case gatt.ConfirmKey(confirmation):
                    opcode = gatt.CONFIRM_KEY
                    result = await key_change.take(self.memory, confirmation)
        await self._indicate(connection, gatt.CtrlReply(opcode=opcode, result=result))

    def _is_in_hand(self) -> bool:
        pressed_at = self._pressed_at
        return pressed_at is not None and self._monotonic() - pressed_at <= claim.PRESS_SECONDS

    async def _run_replay(self, connection: Connection) -> None:
        count = 0
        for raw in self.memory.pending:
            if connection not in self._listeners():
                return
            if not self.memory.keeps(raw):
                continue  # acknowledged meanwhile
            await self.device.notify_subscriber(connection, self._tap, raw)
            await connection.drain()
            count += 1
        reply = gatt.CtrlReply(opcode=gatt.REPLAY, result="ok", count=count)
        await self._indicate(connection, reply)

    def _reply(self, connection: Connection, reply: gatt.CtrlReply) -> None:
        self._start_reply(self._indicate(connection, reply))

    def _start_reply(self, replying: Coroutine[None, None, None]) -> None:
        # The write must be answered before the indication, so this cannot be awaited there.
        task = asyncio.create_task(replying)
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _indicate(self, connection: Connection, reply: gatt.CtrlReply) -> None:
        value = gatt.encode_ctrl_reply(reply)
        with suppress(TimeoutError, asyncio.CancelledError):  # the central left
            await self.device.indicate_subscriber(connection, self._ctrl, value)

    def _add_services(self) -> None:
        properties, permissions = Characteristic.Properties, Attribute.Permissions
        writeable = permissions.WRITEABLE
        if self._encrypted:
            writeable |= permissions.WRITE_REQUIRES_ENCRYPTION
        self._tap = Characteristic[bytes](gatt.TAP, properties.NOTIFY, permissions.READABLE)
        self._ack = Characteristic[bytes](
            gatt.ACK,
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            writeable,
            AttributeValue(write=self._on_ack),
        )
        self._status = Characteristic[bytes](
            gatt.STATUS,
            properties.READ | properties.NOTIFY,
            permissions.READABLE,
            AttributeValue(read=lambda _connection: gatt.encode_status(self.status())),
        )
        self._ctrl = Characteristic[bytes](
            gatt.CTRL,
            properties.WRITE | properties.INDICATE,
            writeable,
            AttributeValue(write=self._on_ctrl),
        )
        ident = readable(gatt.IDENT, lambda: self.ring_id, encrypted=self._encrypted)
        proof = readable(
            gatt.PROOF, lambda: key_change.proof(self.memory), encrypted=self._encrypted
        )
        battery = Characteristic[bytes](
            UUID.from_16_bits(0x2A19),
            properties.READ | properties.NOTIFY,
            permissions.READABLE,
            AttributeValue(read=lambda _connection: bytes((self.battery_pct,))),
        )
        self.device.add_services(
            [
                Service(
                    gatt.SERVICE,
                    [
                        *(self._tap, self._ack, self._status, self._ctrl, ident, proof),
                        self.touch_point.characteristic(),
                    ],
                ),
                Service(
                    UUID.from_16_bits(0x180A),
                    [
                        readable(UUID.from_16_bits(0x2A29), lambda: b"Ping"),
                        readable(UUID.from_16_bits(0x2A26), _FIRMWARE.encode),
                    ],
                ),
                Service(UUID.from_16_bits(0x180F), [battery]),
            ]
        )
