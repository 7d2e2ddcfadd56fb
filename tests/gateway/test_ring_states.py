"""Only news of rings is told, everything again to a new listener, and that a ring is gone once."""

from types import SimpleNamespace
from typing import Any

import pytest
from bleak.exc import BleakError

from core.edge import RingState
from firmware_bridge import gatt
from gateway.ring_facts import Facts, learn
from gateway.ring_states import RingStates

RING, OTHER = bytes(8), bytes(range(8))


def connection(ring: bytes | None = RING, *, linked: bool = True, **facts: Any) -> Any:
    link = SimpleNamespace(is_linked=linked)
    return SimpleNamespace(ring=ring, link=link, rssi=-60, facts=Facts(**facts))


class Hub:
    """Takes what is published while it listens."""

    def __init__(self) -> None:
        self.states = RingStates()
        self.heard: list[tuple[bytes, str, int | None]] = []
        self.is_up = True

    def tell(self, *connections: Any) -> list[tuple[bytes, str, int | None]]:
        self.heard.clear()
        self.states.tell(connections, 1, self._publish)
        return list(self.heard)

    def _publish(self, ring: bytes, state: RingState) -> bool:
        if self.is_up:
            self.heard.append((ring, state.link, state.bat))
        return self.is_up


def test_a_ring_is_told_when_something_of_it_changes() -> None:
    hub = Hub()
    assert hub.tell(connection(battery_pct=80)) == [(RING, "connected", 80)]
    assert hub.tell(connection(battery_pct=80)) == []
    assert hub.tell(connection(battery_pct=79)) == [(RING, "connected", 79)]
    assert hub.tell(connection(battery_pct=79, linked=False)) == [(RING, "seen", 79)]


def test_a_ring_that_is_gone_is_told_once() -> None:
    hub = Hub()
    hub.tell(connection())
    assert hub.tell() == [(RING, "lost", None)]
    assert hub.tell() == []


def test_what_did_not_leave_is_told_later() -> None:
    hub = Hub()
    hub.is_up = False
    assert hub.tell(connection()) == []
    hub.is_up = True
    assert hub.tell(connection()) == [(RING, "connected", None)]
    hub.is_up = False
    hub.tell()
    hub.is_up = True
    assert hub.tell() == [(RING, "lost", None)]


def test_a_new_listener_is_told_everything_also_who_left_meanwhile() -> None:
    hub = Hub()
    hub.tell(connection(), connection(OTHER))
    hub.states.forget()
    assert hub.tell(connection()) == [(RING, "connected", None), (OTHER, "lost", None)]


def test_an_unknown_ring_is_not_told_and_a_link_counts_more_than_an_echo() -> None:
    hub = Hub()
    assert hub.tell(connection(None)) == []
    assert hub.tell(connection(), connection(linked=False)) == [(RING, "connected", None)]


class Client:
    """A ring's characteristics, some of which refuse."""

    def __init__(self, values: dict[str, bytes | None]) -> None:
        self._values = values
        self.services = SimpleNamespace(get_characteristic=lambda uuid: uuid in values or None)
        self.callback: Any = None

    async def read_gatt_char(self, uuid: str) -> bytearray:
        value = self._values[uuid]
        if value is None:
            raise BleakError("refused")
        return bytearray(value)

    async def start_notify(self, _uuid: str, callback: Any) -> None:
        self.callback = callback


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        ({}, Facts()),
        (
            {gatt.FIRMWARE_REVISION: b"1\0.4\r\0", gatt.BATTERY_LEVEL: b"\x50"},
            Facts(firmware="1.4", battery_pct=80),
        ),
        ({gatt.FIRMWARE_REVISION: None, gatt.BATTERY_LEVEL: None}, Facts()),
        ({gatt.BATTERY_LEVEL: b"\x65"}, Facts()),
        ({gatt.BATTERY_LEVEL: b""}, Facts()),
        ({gatt.FIRMWARE_REVISION: b"\xff" * 200}, Facts(firmware="\ufffd" * 64)),
    ],
)
async def test_a_ring_tells_what_it_can(values: dict[str, bytes | None], facts: Facts) -> None:
    learned = Facts()
    await learn(Client(values), learned)  # pyright: ignore[reportArgumentType]
    assert learned == facts


async def test_the_battery_is_followed() -> None:
    client, learned = Client({gatt.BATTERY_LEVEL: b"\x50"}), Facts()
    await learn(client, learned)  # pyright: ignore[reportArgumentType]
    client.callback(None, bytearray(b"\x4f"))
    assert learned.battery_pct == 79
