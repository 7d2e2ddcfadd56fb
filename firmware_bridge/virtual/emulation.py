"""One ring on this machine for a phone app to meet: fresh SUN links, and a real radio if wanted."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final

import msgspec
from bumble import core, hci
from bumble.transport import open_transport

from core.errors import ConfigError
from firmware_bridge.virtual import tag
from firmware_bridge.virtual.memory import Memory, MemoryFullError
from firmware_bridge.virtual.ring import VirtualRing
from firmware_bridge.virtual.simulation import RingEntry, tag_keys

_OPEN_SECONDS: Final = 10.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a ring is emulated; `count` 0 is for ever, `transport` empty is no radio."""

    base: str
    counter: int = 0
    count: int = 1
    every_seconds: float = 5.0
    transport: str = ""
    encrypted: bool = False


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tap of the emulated ring: the link of its tag, the record on the air, or both."""

    counter: int = 0
    link: str = ""
    boot: int = 0
    seq: int = 0


async def run(entry: RingEntry, home: Path, plan: Plan, show: Callable[[Shown], None]) -> None:
    """Tap and show each tap, until the count, SIGTERM or SIGINT; raises ConfigError."""
    keys = tag_keys(entry)
    if keys is None and not plan.transport:
        raise ConfigError(f"ring {entry.device_id} has no NFC tag: no nfc_uid and SUN keys")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    path = home / f"{entry.device_id.lower()}.nvm"
    async with AsyncExitStack() as stack:
        ring = None
        if plan.transport:
            ring = await stack.enter_async_context(_on_air(entry, path, plan))
        memory = ring.memory if ring else stack.enter_context(closing(Memory(path)))
        memory.skip_sun(plan.counter)
        taps = 0
        while not stop.is_set():
            shown = Shown()
            if keys is not None:
                link = tag.next_link(plan.base, keys, memory)
                shown = Shown(counter=memory.sun_counter, link=link)
            if ring is not None:
                shown = await _press(ring, shown)
            show(shown)
            taps += 1
            if taps == plan.count:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), plan.every_seconds)


async def _press(ring: VirtualRing, shown: Shown) -> Shown:
    try:
        record = await ring.press()
    except MemoryFullError:
        raise ConfigError("the ring's memory is full: let a gateway or the app fetch it") from None
    return msgspec.structs.replace(shown, boot=record.boot, seq=record.seq)


@asynccontextmanager
async def _on_air(entry: RingEntry, path: Path, plan: Plan) -> AsyncGenerator[VirtualRing]:
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                radio = await open_transport(plan.transport)
                stack.push_async_callback(radio.close)
                ring = VirtualRing(
                    radio,
                    ring_id=bytes.fromhex(entry.device_id),
                    key=bytes.fromhex(entry.tap_key),
                    memory_path=path,
                    name=entry.name[:29],
                    encrypted=plan.encrypted,
                )
                await ring.start()
        except (OSError, ValueError, core.BaseBumbleError, hci.HCI_Error, TimeoutError) as error:
            problem = str(error) or "no answer"
            raise ConfigError(f"{plan.transport} cannot be used: {problem}") from None
        stack.push_async_callback(ring.stop)
        yield ring
