"""A whole gateway with virtual rings in one process: for demos, and for makers of hubs and brokers.

Everything it keeps is in one folder: rings with their keys and memories, spool, bonds, identity.
The gateway is the real one; only its radio is virtual.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from core import durable, log, mqtt_address
from core.config import Settings
from core.errors import ConfigError
from firmware_bridge.virtual.simulation import RingEntry, Simulation, read_rings
from gateway import process

_LOOPBACK: Final = ("127.0.0.1", 0)
_RING_MARK: Final = b"SIM"

_log = log.get("gateway.simulate")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated, and where."""

    folder: Path
    rings: int
    taps_per_minute: float
    encrypted: bool
    rings_file: Path | None
    mqtt_url: str
    """A broker with a login; empty: the identity in the folder, or the settings of [gateway]."""


def settings_of(settings: Settings, plan: Plan) -> Settings:
    """Return the settings of the simulated gateway; its radio is still to be named."""
    gateway = msgspec.structs.replace(
        settings.gateway,
        adapters=(),
        spool_path=str(plan.folder / "spool.db"),
        identity_path=str(plan.folder / "identity"),
    )
    if plan.mqtt_url:
        address = mqtt_address.parse(plan.mqtt_url, "--mqtt")
        name = address.username or settings.gateway.id
        if not name:
            raise ConfigError("--mqtt: name the gateway, as mqtt://gateway:password@host:port")
        gateway = msgspec.structs.replace(
            gateway, id=name, mqtt_url=plan.mqtt_url, identity_path=str(plan.folder / "none")
        )
    return msgspec.structs.replace(settings, gateway=gateway)


async def run(settings: Settings, plan: Plan) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    simulation = Simulation(_entries(plan), plan.folder / "rings", encrypted=plan.encrypted)
    async with _started(simulation, plan.taps_per_minute):
        backend = f"bumble:tcp-client:127.0.0.1:{simulation.hci[0].port}"
        gateway = msgspec.structs.replace(settings.gateway, ble_backend=backend)
        _log.info(
            "simulation_started",
            rings=len(simulation.rings),
            control_port=simulation.control_port,
            folder=str(plan.folder),
        )
        return await process.serve(msgspec.structs.replace(settings, gateway=gateway))


@asynccontextmanager
async def _started(simulation: Simulation, taps_per_minute: float) -> AsyncGenerator[None]:
    pressing: asyncio.Task[None] | None = None
    try:
        await simulation.start(hci=[_LOOPBACK], control=_LOOPBACK)
        if taps_per_minute:
            pressing = asyncio.create_task(simulation.press_in_turn(60 / taps_per_minute))
        yield
    finally:
        if pressing is not None:
            pressing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pressing
        await simulation.stop()


def _entries(plan: Plan) -> list[RingEntry]:
    """Return the rings of the file, or rings of our own that are the same at each start."""
    if plan.rings_file is not None:
        return read_rings(plan.rings_file)[: plan.rings]
    path = plan.folder / "rings.json"
    known = read_rings(path) if path.exists() else []
    while len(known) < plan.rings:
        number = len(known) + 1
        known.append(
            RingEntry(
                device_id=(_RING_MARK + os.urandom(5)).hex(),
                tap_key=os.urandom(16).hex(),
                id_key=os.urandom(16).hex(),
                name=f"simulated-{number}",
            )
        )
    plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(path, msgspec.json.encode(known))
    return known[: plan.rings]
