"""What `pinghub gateway diagnose` looks at: settings, spool, broker, Bluetooth, rings in reach."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from bleak import BleakScanner
from bleak.exc import BleakError

from core import edge
from core.config import Settings
from core.errors import ConfigError
from firmware_bridge import gatt
from gateway import diagnose_hub, health, readers, refusals, spool_file
from gateway.access import Access, access_of
from gateway.adapter import AdapterLostError, backends_of, check_backends, open_adapter
from gateway.finding import Finding
from gateway.paths import spool_path, status_path
from gateway.reader import Open, is_openable

SCAN_SECONDS: Final = 3.0
FREE_BYTES_MIN: Final = 64 * 1024 * 1024
_NFC_REMEDY: Final = "plug it in; PC/SC: does pcscd run? serial: may this user open the device?"


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Yield findings as they are made; a running gateway is asked, not disturbed."""
    finding, access = _settings(settings)
    yield finding
    path = spool_path(settings)
    yield _disk(path)
    running = health.read_status(status_path(settings))
    if running is not None:
        yield from _of_running(running)
        return
    yield _spool(path)
    if access is not None:
        yield diagnose_hub.certificate(access.identity_path)
        yield diagnose_hub.broker(access, settings)
    for backend in backends_of(settings.gateway):
        yield asyncio.run(_bluetooth(backend))
    with suppress(ConfigError):  # told by `settings`
        for name, opener in readers.openers(settings.gateway.readers):
            yield asyncio.run(_nfc(name, opener))


def _settings(settings: Settings) -> tuple[Finding, Access | None]:
    try:
        access = access_of(settings)
        check_backends(settings.gateway)
        readers.check(settings.gateway.readers)
    except ConfigError as error:
        remedy = "see pinghub.toml, or claim this gateway"
        return Finding("settings", ok=False, detail=str(error), remedy=remedy), None
    return Finding("settings", ok=True, detail=f"gateway {access.gateway}"), access


def _disk(path: Path) -> Finding:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free // 1024**2} MiB free at {folder}"
    return Finding(
        "disk", ok=free >= FREE_BYTES_MIN, detail=detail, remedy="free some space for the spool"
    )


def _spool(path: Path) -> Finding:
    if not path.exists():
        return Finding("spool", ok=True, detail=f"{path} will be created")
    try:
        waiting = spool_file.count_waiting(path)
    except sqlite3.Error as error:
        return Finding(
            "spool",
            ok=False,
            detail=f"{path}: {error}",
            remedy="start the gateway: it sets a damaged file aside and begins anew",
        )
    return Finding("spool", ok=True, detail=f"{waiting} taps wait in {path}")


async def _bluetooth(backend: str) -> Finding:
    rings: set[str] = set()
    try:
        async with (
            open_adapter(backend) as adapter,
            BleakScanner(
                lambda device, _: rings.add(device.address),
                service_uuids=[gatt.SERVICE],
                backend=adapter.scanner,
                bluez=adapter.bluez,
            ),
        ):
            await asyncio.sleep(SCAN_SECONDS)
    except FileNotFoundError:
        return Finding(
            "bluetooth",
            ok=False,
            detail=f"{backend}: no system D-Bus, so no BlueZ",
            remedy="install and start bluez, or use a raw dongle: gateway.ble_backend bumble:usb:0",
        )
    except (AdapterLostError, BleakError, OSError, TimeoutError, ConfigError) as error:
        return Finding(
            "bluetooth",
            ok=False,
            detail=f"{backend}: {error}",
            remedy="check the setting, the adapter and its permissions",
        )
    return Finding("bluetooth", ok=True, detail=f"{backend} scans; {len(rings)} rings in reach")


async def _nfc(name: str, opener: Open) -> Finding:
    problem = await is_openable(opener)
    return Finding(
        "nfc",
        ok=not problem,
        detail=f"{name}: {problem}" if problem else f"{name} can be opened",
        remedy=_NFC_REMEDY,
    )


def _of_running(running: health.Health) -> Iterator[Finding]:
    spool = running.spool
    yield Finding("gateway", ok=True, detail=f"runs as pid {running.pid}")
    yield Finding(
        "spool",
        ok=not spool.failing,
        detail=spool.failing or f"{spool.pending + spool.sent} taps wait",
        remedy="free disk space; the rings keep their taps meanwhile",
    )
    yield Finding(
        "mqtt",
        ok=running.mqtt_up,
        detail=running.mqtt_problem or f"connected {running.mqtt_connects} times",
        remedy=refusals.REMEDIES.get(
            running.mqtt_problem, "is the broker up, and is the login right?"
        ),
    )
    if running.identity == "certificate":
        yield _of_certificate(running)
    yield Finding(
        "delivery",
        ok=not running.delivery_alarm,
        detail=running.delivery_alarm or f"{running.window} taps wait for the hub's word",
        remedy="no_subscribers: start the hub's ingest; not_authorized: check the broker's ACL",
    )
    for adapter in running.adapters:
        yield Finding(
            "bluetooth",
            ok=adapter.scanning,
            detail=f"{adapter.adapter} {adapter.problem or f'scans; {adapter.links} links'}",
            remedy="check the setting, the adapter and its permissions",
        )
    for reader in running.readers:
        yield Finding(
            "nfc",
            ok=reader.up,
            detail=f"{reader.reader} {reader.problem or f'is up; {reader.reads} reads'}",
            remedy=_NFC_REMEDY,
        )
    for reason, count in spool.refused.items():
        yield Finding(
            f"refused: {reason}",
            ok=False,
            detail=f"{count} taps are quarantined",
            remedy=_remedy(reason),
        )


def _of_certificate(running: health.Health) -> Finding:
    days = ((running.certificate_expires_ms or 0) - running.t) // diagnose_hub.DAY_MS
    problem = running.certificate_problem
    remedy = refusals.REMEDIES.get(problem, "it is tried again; see the hub's log")
    detail = f"certificate, {days} days left" + (f", {problem}" if problem else "")
    return Finding("identity", ok=not problem, detail=detail, remedy=remedy)


REFUSED_REMEDIES: Final[dict[edge.RejectCode, str]] = {
    "malformed": "update the gateway or the ring: the hub cannot read the record",
    "unknown_ring": "claim the ring",
    "bad_tag": "the ring's key differs from the hub's, or somebody imitates the ring",
    "ring_revoked": "the ring was reported lost; its owner can say more",
    "counter_stale": "two records carry one number: the ring's memory was restored or copied",
}


def _remedy(reason: str) -> str:
    # A hub newer than this gateway may know further reasons.
    return next((text for code, text in REFUSED_REMEDIES.items() if code == reason), "ask the hub")
