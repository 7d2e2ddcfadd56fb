"""What `pinghub gateway diagnose` looks at: settings, spool, broker, Bluetooth, rings in reach."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from bleak import BleakScanner
from bleak.exc import BleakError
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from core import config, edge, mqtt_address
from core.config import Settings
from core.errors import ConfigError
from core.ids import new_id
from firmware_bridge import gatt
from gateway import health, spool_file
from gateway.adapter import AdapterLostError, backends_of, check_backends, open_adapter
from gateway.paths import spool_path, status_path

SCAN_SECONDS: Final = 3.0
MQTT_SECONDS: Final = 5.0
FREE_BYTES_MIN: Final = 64 * 1024 * 1024


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; `remedy` says what to do when it is not well."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Yield findings as they are made; a running gateway is asked, not disturbed."""
    yield _settings(settings)
    path = spool_path(settings)
    yield _disk(path)
    running = health.read_status(status_path(settings))
    if running is not None:
        yield from _of_running(running)
        return
    yield _spool(path)
    if settings.gateway.mqtt_url and settings.gateway.id:
        yield _broker(settings)
    for backend in backends_of(settings.gateway):
        yield asyncio.run(_bluetooth(backend))


def _settings(settings: Settings) -> Finding:
    try:
        gateway = config.require(settings.gateway.id, "gateway.id")
        mqtt_address.parse(
            config.require(settings.gateway.mqtt_url, "gateway.mqtt_url"), "gateway.mqtt_url"
        )
        check_backends(settings.gateway)
    except ConfigError as error:
        return Finding("settings", ok=False, detail=str(error), remedy="see pinghub.toml")
    return Finding("settings", ok=True, detail=f"gateway {gateway}")


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


def _broker(settings: Settings) -> Finding:
    try:
        address = mqtt_address.parse(
            settings.gateway.mqtt_url, "gateway.mqtt_url", default_username=settings.gateway.id
        )
    except ConfigError as error:
        return Finding("mqtt", ok=False, detail=str(error), remedy="correct gateway.mqtt_url")
    is_5 = settings.gateway.mqtt_version == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        # A name of its own: the gateway's would end a running gateway's session.
        client_id=f"diagnose-{new_id()}",
        protocol=MQTTProtocolVersion.MQTTv5 if is_5 else MQTTProtocolVersion.MQTTv311,
    )
    client.username_pw_set(address.username, address.password or None)
    if address.tls:
        client.tls_set()
    answered = threading.Event()
    answers: list[ReasonCode] = []

    def on_connect(*arguments: object) -> None:
        answers.extend(item for item in arguments if isinstance(item, ReasonCode))
        answered.set()

    client.on_connect = on_connect
    place = f"{address.host}:{address.port}"
    try:
        client.connect(address.host, address.port, 10)
        client.loop_start()
        answered.wait(MQTT_SECONDS)
        client.disconnect()
        client.loop_stop()
    except OSError as error:
        return Finding("mqtt", ok=False, detail=f"{place}: {error}", remedy="is the broker up?")
    if not answers:
        return Finding(
            "mqtt",
            ok=False,
            detail=f"{place} does not answer as MQTT {settings.gateway.mqtt_version}",
            remedy="set gateway.mqtt_version to what the broker speaks",
        )
    if answers[0].is_failure:
        return Finding("mqtt", ok=False, detail=f"{place}: {answers[0]}", remedy="check the login")
    return Finding("mqtt", ok=True, detail=f"{place} accepts {address.username}")


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
    except (AdapterLostError, BleakError, OSError, TimeoutError, ConfigError) as error:
        return Finding(
            "bluetooth",
            ok=False,
            detail=f"{backend}: {error}",
            remedy="check the setting, the adapter and its permissions",
        )
    return Finding("bluetooth", ok=True, detail=f"{backend} scans; {len(rings)} rings in reach")


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
        remedy="is the broker up, and is the login right?",
    )
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
    for reason, count in spool.refused.items():
        yield Finding(
            f"refused: {reason}",
            ok=False,
            detail=f"{count} taps are quarantined",
            remedy=_remedy(reason),
        )


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
