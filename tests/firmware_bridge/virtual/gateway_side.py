"""The least a gateway does with a ring: subscribe, replay, acknowledge."""

import asyncio
from typing import Any, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice

from firmware_bridge import gatt, tap


async def find(scanner: Any, address: object = None, timeout: float = 5.0) -> BLEDevice:  # noqa: ASYNC109  # bleak's
    """Find a ring by its service, or that at an address."""
    device = await BleakScanner.find_device_by_filter(
        lambda found, data: gatt.SERVICE in data.service_uuids and address in (None, found.address),
        timeout=timeout,
        backend=scanner,
    )
    assert device is not None, "no ring found"
    return device


class Listener:
    """A connection to a ring that collects its records."""

    def __init__(self, device: BLEDevice | str, backend: Any, timeout: float = 5.0) -> None:
        self.disconnected = asyncio.Event()
        self.disconnections = 0
        self.client = BleakClient(device, self._on_disconnected, backend=backend, timeout=timeout)
        self.raw: list[bytes] = []
        self.replies: asyncio.Queue[gatt.CtrlReply] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        await self.client.connect()
        await self.client.start_notify(gatt.CTRL, self._on_ctrl)
        await self.client.start_notify(gatt.TAP, lambda _c, data: self.raw.append(bytes(data)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()

    @property
    def seqs(self) -> list[int]:
        return [tap.decode(raw).seq for raw in self.raw]

    async def status(self) -> gatt.Status:
        return gatt.decode_status(bytes(await self.client.read_gatt_char(gatt.STATUS)))

    async def ctrl(self, data: bytes) -> gatt.CtrlReply:
        await self.client.write_gatt_char(gatt.CTRL, data, response=True)
        return await asyncio.wait_for(self.replies.get(), 5)

    async def replay(self) -> int:
        return (await self.ctrl(gatt.encode_ctrl(gatt.Replay()))).count

    async def ack(self, boot: int, seq: int) -> None:
        data = gatt.encode_ack(gatt.Ack(boot=boot, seq=seq))
        await self.client.write_gatt_char(gatt.ACK, data, response=True)

    def _on_ctrl(self, _sender: object, data: bytearray) -> None:
        self.replies.put_nowait(gatt.decode_ctrl_reply(bytes(data)))

    def _on_disconnected(self, _client: object) -> None:
        self.disconnections += 1
        self.disconnected.set()
