"""One ring's connection, a thin shell: does what gateway.link decides, with bleak."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Final, Protocol

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError, BleakGATTProtocolError

from core import clock, log
from firmware_bridge import gatt, tap
from gateway import link, ring_claims
from gateway.adapter import Adapter, remove_device
from gateway.ring_claims import Confirmations
from gateway.ring_facts import Facts, learn

DISCONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 3.0
"""A ring answers a command by then, or not at all."""
_ATT_HEADER_BYTES: Final = 3
# ATT errors (Bluetooth Core, vol. 3, part F, 3.4.1.1): insufficient authentication, authorization,
# key size, encryption.
_UNENCRYPTED: Final = (0x05, 0x08, 0x0C, 0x0F)

_log = log.get("gateway.ble")


class Sink(Protocol):
    """Where records and the rings' clocks go."""

    def observe(self, ring: bytes, status: gatt.Status, unix_ms: int, round_trip_ms: float) -> None:
        """A STATUS round trip of a ring, `unix_ms` in its middle."""
        ...

    async def store(
        self, ring: bytes, record: tap.TapRecord, raw: bytes, *, rssi: int | None, live: bool
    ) -> bool:
        """Return whether the record is safe on disk."""
        ...


class Door(Protocol):
    """Whoever gives rings their turn to connect."""

    async def enter(self, address: str) -> tuple[Adapter, BLEDevice]:
        """Wait for a turn; return over which adapter, and the ring as that one knows it."""
        ...

    def connected(self, address: str, *, refused: bool) -> None:
        """The attempt is over; `refused`: the adapter carries as many as it can."""
        ...

    def leave(self, address: str) -> None:
        """The connection, or the wait for it, is over."""
        ...


class RingConnection:
    """A ring at one Bluetooth address: its link, and the task that talks to it."""

    def __init__(
        self,
        address: str,
        *,
        sink: Sink,
        door: Door,
        random: Callable[[], float],
        confirmations: Confirmations,
    ) -> None:
        self.address = address
        self.link = link.RingLink(random)
        self.ring: bytes | None = None
        self.rssi: int | None = None
        self.malformed = 0
        self.facts = Facts()
        self.pressed = asyncio.Event()
        """Set by each tap."""
        self._sink = sink
        self._door = door
        self._confirmations = confirmations
        self._commanding = asyncio.Lock()
        self._awaited: tuple[int, asyncio.Future[gatt.CtrlReply]] | None = None
        self._was_removed = False
        self._forgets_bond = False
        self._client: BleakClient | None = None
        self._talk: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._todo: asyncio.Queue[link.Action] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._boot: int | None = None

    def seen(self, rssi: int) -> None:
        """An advertisement of this ring was heard."""
        self.rssi = rssi
        self.feed(link.Seen())

    def feed(self, event: link.Event) -> None:
        """Tell the link, and do what it asks for."""
        before = self.link.state
        for action in self.link.feed(event, clock.monotonic_seconds()):
            self._do(action)
        if self.link.state is not before:
            _log.debug("link_changed", state=self.link.state, reason=self.link.reason)
        self._arm()

    async def close(self) -> None:
        """End the connection; nothing is acknowledged any more."""
        if self._timer is not None:
            self._timer.cancel()
        await self._end_talk()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arm(self) -> None:
        if self.link.deadline == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = self.link.deadline
        if self.link.deadline is not None:
            delay = max(0.0, self.link.deadline - clock.monotonic_seconds())
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, self._ring_out)

    def _ring_out(self) -> None:
        self._timer = self._armed_for = None
        self.feed(link.Tick())

    def _do(self, action: link.Action) -> None:
        match action:
            case link.Connect():
                self._todo = asyncio.Queue()
                self._talk = asyncio.create_task(self._converse())
            case link.Disconnect(reason):
                _log.info("ring_link_lost", ring=self._ring_hex, reason=reason)
                self._start(self._clear_away())
            case link.ForgetBond():
                _log.warning("ring_bond_forgotten", ring=self._ring_hex, address=self.address)
                self._forgets_bond = True
            case _:
                self._todo.put_nowait(action)

    async def identify(self) -> None:
        """Let the ring blink; raises BleakError."""
        if self._client is None:
            raise BleakError("Not connected")
        command = gatt.encode_ctrl(gatt.Identify())
        await self._client.write_gatt_char(gatt.CTRL, command, True)

    async def command(self, command: gatt.Ctrl) -> gatt.CtrlReply:
        """Return the ring's answer to a command; raises BleakError, also when none comes."""
        client = self._client
        if client is None:
            raise BleakError("Not connected")
        data = gatt.encode_ctrl(command)
        async with self._commanding:
            answer: asyncio.Future[gatt.CtrlReply] = asyncio.get_running_loop().create_future()
            self._awaited = data[0], answer
            try:
                await client.write_gatt_char(gatt.CTRL, data, True)
                done, _ = await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
            finally:
                self._awaited = None
        if not done:
            raise BleakError("the ring does not answer")
        return answer.result()

    async def read_proof(self) -> bytes:
        """Return what PROOF holds; raises BleakError."""
        if self._client is None:
            raise BleakError("Not connected")
        return bytes(await self._client.read_gatt_char(gatt.PROOF))

    async def confirm(self, tag: bytes) -> bool:
        """Bring the ring the confirmation of its claim; raises BleakError."""
        is_taken = await ring_claims.confirm(self, tag)
        if self.ring is not None:
            self._confirmations.done(self.ring, tag)
        return is_taken

    async def _bring_confirmation(self, tag: bytes) -> None:
        with suppress(BleakError, OSError, EOFError):  # it stays, for the next connection
            _log.info("confirmation_brought", ring=self._ring_hex, taken=await self.confirm(tag))

    async def _converse(self) -> None:
        """One connection from the adapter's turn to its end."""
        try:
            client = await self._connect()
        except (BleakError, OSError, TimeoutError, EOFError) as error:
            _log.debug("ring_connect_failed", reason=str(error))
            self._door.leave(self.address)
            self.feed(link.ConnectFailed(no_slots=_is_full(error)))
            return
        self._was_removed = False
        self.feed(link.Connected())
        while True:
            action = await self._todo.get()
            try:
                result = await self._perform(client, action)
            except (BleakError, OSError, TimeoutError, EOFError, gatt.GattError) as error:
                if not _needs_encryption(error):
                    self.feed(link.OperationFailed(str(error) or type(error).__name__))
                    return
                result = link.EncryptionRequired()
            if result is not None:
                self.feed(result)

    async def _connect(self) -> BleakClient:
        adapter, device = await self._door.enter(self.address)
        is_refused = False
        try:
            self.feed(link.ConnectStarted())
            client = BleakClient(
                device,
                disconnected_callback=self._on_disconnected,
                timeout=link.CONNECT_SECONDS,
                backend=adapter.client,
                bluez=adapter.bluez,
            )
            self._client = client
            await client.connect()
        except BleakError as error:
            is_refused = _is_full(error)
            if "inprogress" in str(error).lower() and not self._was_removed:
                # Once: BlueZ holds a connection that is none. More often would lose good bonds.
                self._was_removed = True
                await remove_device(adapter, self.address)
            raise
        finally:
            self._door.connected(self.address, refused=is_refused)
        return client

    async def _perform(self, client: BleakClient, action: link.Action) -> link.Event | None:
        match action:
            case link.Discover():
                return await self._discover(client)
            case link.Pair():
                return await self._pair(client)
            case link.Subscribe():
                await client.start_notify(gatt.CTRL, self._on_ctrl)
                await client.start_notify(gatt.TAP, self._on_tap)
                with suppress(BleakGATTProtocolError):  # a ring without a clock may refuse
                    await self._set_time(client)
                await learn(client, self.facts)
                if self.ring and (tag := self._confirmations.of(self.ring)):
                    self._start(self._bring_confirmation(tag))
                return link.Subscribed()
            case link.ReadStatus():
                return await self._read_status(client)
            case link.StartReplay():
                await client.write_gatt_char(gatt.CTRL, gatt.encode_ctrl(gatt.Replay()), True)
                return None
            case link.WriteAck(boot, seq):
                data = gatt.encode_ack(gatt.Ack(boot=boot, seq=seq))
                await client.write_gatt_char(gatt.ACK, data, True)
                return link.AckWritten()
            case link.Connect() | link.Disconnect() | link.ForgetBond():
                raise RuntimeError("not an action of a standing connection")

    async def _pair(self, client: BleakClient) -> link.Event | None:
        # Just Works (LE Secure Connections): a ring has neither display nor keys.
        try:
            await client.pair()
        except (BleakError, NotImplementedError) as error:
            _log.warning("ring_pairing_failed", ring=self._ring_hex, reason=str(error))
            # A link that broke meanwhile says nothing of the bond.
            return link.PairingFailed() if client.is_connected else None
        return link.Paired()

    async def _discover(self, client: BleakClient) -> link.Event:
        acknowledge = client.services.get_characteristic(gatt.ACK)
        if acknowledge is None or client.services.get_characteristic(gatt.TAP) is None:
            return link.OperationFailed("not_a_ring")
        self.ring = bytes(await client.read_gatt_char(gatt.IDENT))
        if len(self.ring) != tap.RING_ID_BYTES:
            return link.OperationFailed("ident_malformed")
        # BlueZ reports 23 as mtu_size always; what a write may carry tells the truth.
        writable = acknowledge.max_write_without_response_size + _ATT_HEADER_BYTES
        return link.Discovered(mtu=max(client.mtu_size, writable))

    async def _set_time(self, client: BleakClient) -> None:
        command = gatt.encode_ctrl(gatt.SetTime(unix_ms=clock.unix_ms()))
        await client.write_gatt_char(gatt.CTRL, command, True)

    async def _read_status(self, client: BleakClient) -> link.Event:
        began = clock.monotonic_seconds()
        data = await client.read_gatt_char(gatt.STATUS)
        round_trip_ms = (clock.monotonic_seconds() - began) * 1000
        status = gatt.decode_status(bytes(data))
        self._boot = status.boot
        if self.ring is not None:
            middle_ms = clock.unix_ms() - round(round_trip_ms / 2)
            self._sink.observe(self.ring, status, middle_ms, round_trip_ms)
        return link.StatusRead(status)

    def _on_tap(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        raw = bytes(data)
        try:
            record = tap.decode(raw)
        except tap.TapError as error:
            # Not stored, so not acknowledged: the ring keeps it for a gateway that can read it.
            self.malformed += 1
            _log.warning("record_malformed", ring=self._ring_hex, reason=str(error))
            return
        if self.ring is None:
            return
        live = not record.replayed and self._boot in (None, record.boot)
        self.pressed.set()
        self.feed(link.Received(record.boot, record.seq))
        self._start(self._store(self.ring, record, raw, live))

    async def _store(self, ring: bytes, record: tap.TapRecord, raw: bytes, live: bool) -> None:
        is_safe = await self._sink.store(ring, record, raw, rssi=self.rssi, live=live)
        event = link.Stored if is_safe else link.StoreFailed
        self.feed(event(record.boot, record.seq))

    def _on_ctrl(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        with suppress(gatt.GattError):
            reply = gatt.decode_ctrl_reply(bytes(data))
            if reply.opcode == gatt.REPLAY:
                self.feed(link.ReplayDone())
            elif self._awaited is not None and self._awaited[0] == reply.opcode:
                answer = self._awaited[1]
                if not answer.done():
                    answer.set_result(reply)

    def _on_disconnected(self, client: BleakClient) -> None:
        if client is self._client:
            self.feed(link.Disconnected())

    async def _clear_away(self) -> None:
        await self._end_talk()
        if self._talk is None:  # else clearing away took so long that a new one has begun
            self.feed(link.Disconnected())

    async def _end_talk(self) -> None:
        talk, client = self._talk, self._client
        self._talk = self._client = None
        self._boot = None
        if talk is not None and talk is not asyncio.current_task():
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
        if client is not None:
            await self._leave(client)
        self._door.leave(self.address)

    async def _leave(self, client: BleakClient) -> None:
        endings = [client.disconnect]
        if self._forgets_bond:
            endings.insert(0, client.unpair)
        self._forgets_bond = False
        for ending in endings:
            with suppress(BleakError, OSError, TimeoutError, EOFError, NotImplementedError):
                async with asyncio.timeout(DISCONNECT_SECONDS):
                    await ending()

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way, so that the connection may end without loss of time."""
        return self.link.is_quiet

    @property
    def _ring_hex(self) -> str:
        return self.ring.hex() if self.ring else ""


def _needs_encryption(error: Exception) -> bool:
    if isinstance(error, BleakGATTProtocolError):
        return error.code in _UNENCRYPTED
    # BlueZ says it in words of its own.
    return any(word in str(error) for word in ("NotAuthorized", "Not paired"))


def _is_full(error: Exception) -> bool:
    text = str(error).lower().replace("_", " ")
    return any(word in text for word in ("slot", "limit exceeded", "limited resources"))
