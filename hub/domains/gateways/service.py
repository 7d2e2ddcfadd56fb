"""Gateways: what their owners ask and want, and what ingest learns of them."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET
from prometheus_client import Gauge

from core import clock, ids
from core.db import Conflict, Tx
from core.edge import HealthReport
from core.errors import DomainError
from hub.domains.certificates import service as certificates
from hub.domains.gateways import queries, rules
from hub.domains.gateways.queries import ConditionRow, GatewayRow, RejectedRow
from hub.domains.gateways.schemas import (
    Answer,
    ChangeGateway,
    CodeShown,
    Collected,
    Condition,
    EdgeStatus,
    Gateway,
    GatewayAlert,
    GatewayCreated,
    GatewayPresence,
    GatewayStatus,
    Health,
    Info,
    NewGateway,
    RejectedTap,
    RingSeen,
    Watch,
    Wish,
)
from hub.http import page

# Closed sets of labels; which gateway it is, `pinghub edge status` and the console tell.
_gateways = Gauge("pinghub_gateways", "Gateways by status", ["status"])
_alerts = Gauge("pinghub_gateway_alerts", "Gateways by alert", ["alert"])
_spool_pending = Gauge("pinghub_gateway_spool_pending", "Taps waiting in all spools")
_spool_oldest = Gauge("pinghub_gateway_spool_oldest_seconds", "Age of the oldest waiting tap")
_clock_error = Gauge("pinghub_gateway_clock_error_seconds", "Largest clock error of a gateway")

GATEWAYS_LISTING = "gateways"
REJECTED_LISTING = "rejected_taps"


async def create_gateway(tx: Tx, new: NewGateway, index_key: bytes) -> GatewayCreated:
    """Register a gateway of the actor; its claim code is shown this once."""
    gateway_id = ids.new_id()
    try:
        await queries.add.run(tx, gateway_id, new.name)
    except Conflict:
        raise DomainError("gateway.name_taken") from None
    code = await certificates.new_claim_code(tx, gateway_id, index_key)
    made = await get_gateway(tx, gateway_id)
    fields = {**msgspec.to_builtins(made), "claim_code": code.code}
    return msgspec.convert(fields, GatewayCreated)


async def get_gateway(tx: Tx, gateway_id: UUID) -> Gateway:
    """Return a gateway of the actor; of anybody else's it is as if it did not exist."""
    row = await queries.find.first(tx, gateway_id)
    if row is None:
        raise DomainError("gateway.not_found")
    return _shown(row)


async def list_gateways(
    tx: Tx,
    *,
    status: GatewayStatus | None,
    alerting: bool | None,
    limit: int,
    cursor: str | None,
) -> page.Page[Gateway]:
    """Return the actor's gateways but revoked ones, the newest first."""
    before = page.decode_cursor(cursor, GATEWAYS_LISTING, tuple[UUID])
    rows = await queries.list_page.all(
        tx, before[0] if before else None, status, alerting, limit + 1
    )
    shown = [_shown(row) for row in rows]
    return page.paginate(shown, limit, GATEWAYS_LISTING, lambda gateway: (gateway.id,))


async def change_gateway(tx: Tx, gateway_id: UUID, change: ChangeGateway) -> Gateway:
    """Rename or configure a gateway of the actor; a configuration replaces the whole one.

    Raises gateway.not_found, gateway.revoked, gateway.name_taken, gateway.revision_conflict.
    """
    present = await get_gateway(tx, gateway_id)
    if present.revoked_at is not None:
        raise DomainError("gateway.revoked")
    if change.name is not UNSET and change.name != present.name:
        try:
            await queries.rename.run(tx, gateway_id, change.name)
        except Conflict:
            raise DomainError("gateway.name_taken") from None
    if change.config is not UNSET:
        await _configure(tx, gateway_id, change)
    return await get_gateway(tx, gateway_id)


async def _configure(tx: Tx, gateway_id: UUID, change: ChangeGateway) -> None:
    config = change.config
    if config is UNSET:
        return
    if change.config_rev is UNSET:
        raise _invalid("config_rev", "Required with config")
    if (config.latitude is None) != (config.longitude is None):
        raise _invalid("config", "latitude and longitude go together")
    encoded = msgspec.json.encode(config)
    if not await queries.configure.run(tx, gateway_id, encoded, change.config_rev):
        raise DomainError("gateway.revision_conflict")


async def new_code(tx: Tx, gateway_id: UUID, index_key: bytes) -> CodeShown:
    """Give a gateway of the actor a new claim code, for a device that replaces the present one."""
    code = await certificates.new_claim_code(tx, gateway_id, index_key)
    return CodeShown(code.code, code.expires_at)


async def revoke_gateway(tx: Tx, gateway_id: UUID) -> None:
    """Cast a gateway of the actor out; its row and its taps stay."""
    await certificates.revoke_gateway(tx, gateway_id)


async def list_rejected(
    tx: Tx, *, gateway_id: UUID | None, limit: int, cursor: str | None
) -> page.Page[RejectedTap]:
    """Return what was refused of the actor's gateways, the newest first."""
    before = page.decode_cursor(cursor, REJECTED_LISTING, tuple[UUID])
    rows = await queries.list_rejected.all(tx, before[0] if before else None, gateway_id, limit + 1)
    shown = [_shown_rejected(row) for row in rows]
    return page.paginate(shown, limit, REJECTED_LISTING, lambda tap: (tap.id,))


async def callable_gateway(tx: Tx, gateway_id: UUID) -> None:
    """Raise unless the actor's gateway is there to be called."""
    gateway = await get_gateway(tx, gateway_id)
    if gateway.revoked_at is not None:
        raise DomainError("gateway.revoked")
    if gateway.status != "online":
        raise DomainError("gateway.offline")


async def device_of(tx: Tx, ring_id: UUID) -> bytes:
    """Return what a ring of the actor calls itself."""
    device_id = await queries.device_of.first(tx, ring_id)
    if device_id is None:
        raise DomainError("ring.not_found")
    return device_id


async def trusted(tx: Tx, gateway_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the gateways that are registered and not revoked."""
    return set(await queries.trusted.all(tx, list(gateway_ids))) if gateway_ids else set()


async def note_presence(tx: Tx, presences: Iterable[GatewayPresence]) -> None:
    """Store what gateways and last wills say, in their order; a change becomes an event."""
    # In one order, so that two ingest processes never wait for each other's rows.
    for presence in sorted(presences, key=lambda item: item.gateway_id):
        gateway_id, status = presence.gateway_id, presence.status
        if await queries.set_status.run(tx, gateway_id, status, presence.session):
            # Whoever comes back sees its rings anew; nobody else speaks for them meanwhile.
            await queries.lose_rings.run(tx, gateway_id)


async def note_info(tx: Tx, infos: Iterable[Info]) -> list[Answer]:
    """Store what gateways are; return the configurations that they have not looked at yet."""
    wishes: list[Wish] = []
    for item in sorted(infos, key=lambda item: item.gateway_id):
        reported = item.info.reported
        wishes += await queries.note_info.all(
            tx,
            item.gateway_id,
            item.info.version,
            msgspec.json.encode(reported),
            max(reported.rev, reported.rejected_rev),
            list(item.info.adapters),
            list(item.info.capabilities),
        )
    return [message for message in map(rules.config_message, wishes) if message]


async def note_health(tx: Tx, reports: Iterable[Health]) -> None:
    """Store the newest health of each gateway, and what its owner must be told."""
    noted: list[UUID] = []
    for item in sorted(reports, key=lambda item: item.gateway_id):
        report = item.report
        known = await queries.lock_for_health.first(
            tx, item.gateway_id, report.session, report.uptime_s
        )
        if known is None:
            continue
        watch = rules.watch(
            _decode(known.health, HealthReport), _watch(known.watch), report, item.received_ms
        )
        await queries.note_health.run(
            tx, item.gateway_id, msgspec.json.encode(report), msgspec.json.encode(watch)
        )
        noted.append(item.gateway_id)
    if noted:
        await refresh_alerts(tx, noted)


async def note_rings(tx: Tx, seen: Iterable[RingSeen]) -> None:
    """Store what gateways see of their owners' rings; a change becomes an event."""
    for item in sorted(seen, key=lambda item: (item.device_id, item.gateway_id)):
        state = item.state
        await queries.note_ring.run(
            tx, item.gateway_id, item.device_id, state.link, state.bat, state.fw
        )


async def refresh_alerts(tx: Tx, gateway_ids: list[UUID] | None = None) -> None:
    """Bring the alerts of gateways up to date; without ids those of all. A change is an event."""
    now_ms = clock.unix_ms()
    for row in await queries.conditions.all(tx, gateway_ids):
        found = sorted(rules.alerts(_condition(row), now_ms))
        if found != sorted(row.alerts):
            await queries.set_alerts.run(tx, row.id, found)


async def count(tx: Tx) -> None:
    """Set the metrics of all gateways."""
    tally = await queries.tally.one(tx)
    _gateways.labels("online").set(tally.online)
    _gateways.labels("offline").set(tally.offline)
    _spool_pending.set(tally.spool_pending)
    _spool_oldest.set(tally.spool_oldest_ms / 1000)
    _clock_error.set(tally.clock_error_ms / 1000)
    counts = {row.name: row.count for row in await queries.alert_counts.all(tx)}
    for alert in get_args(GatewayAlert):
        _alerts.labels(alert).set(counts.get(alert, 0))


async def edge_status(tx: Tx, limit: int) -> EdgeStatus:
    """Return what the operator sees; gateways with alerts come first."""
    tally = await queries.tally.one(tx)
    return EdgeStatus(
        online=tally.online,
        offline=tally.offline,
        alerts={row.name: row.count for row in await queries.alert_counts.all(tx)},
        rejected_today={row.name: row.count for row in await queries.rejected_counts.all(tx)},
        gateways=await queries.overview.all(tx, limit),
    )


async def config_message(tx: Tx, gateway_id: UUID) -> Answer | None:
    """Return what tells a gateway its present configuration; None: it was cast out."""
    wish = await queries.find_wish.first(tx, gateway_id)
    return None if wish is None else rules.config_message(wish)


def collected(result: dict[str, Any]) -> Collected:
    """Return the log lines in a gateway's answer, or raise when it holds none."""
    try:
        return msgspec.convert(result, Collected)
    except msgspec.ValidationError:
        raise DomainError("gateway.call_failed") from None


def _shown(row: GatewayRow) -> Gateway:
    fields = msgspec.structs.asdict(row)
    for name in ("config", "reported", "health", "watch"):
        if fields[name] is not None:
            fields[name] = msgspec.json.decode(fields[name])
    return msgspec.convert(fields | {"clock_error_ms": _watch(row.watch).clock_error_ms}, Gateway)


def _shown_rejected(row: RejectedRow) -> RejectedTap:
    fields = msgspec.structs.asdict(row)
    return msgspec.convert(fields | {"device_id": (row.device_id or b"").hex()}, RejectedTap)


def _condition(row: ConditionRow) -> Condition:
    return Condition(
        status=row.status,
        last_seen_ms=_unix_ms(row.last_seen_at),
        health=_decode(row.health, HealthReport),
        watch=_watch(row.watch),
        certificate_expires_ms=_unix_ms(row.cert_expires_at),
        rejected_recently=row.rejected_recently,
    )


def _unix_ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _decode(column: msgspec.Raw | None, kind: type[HealthReport]) -> HealthReport | None:
    return None if column is None else msgspec.json.decode(column, type=kind)


def _watch(column: msgspec.Raw) -> Watch:
    return msgspec.json.decode(column, type=Watch)


def _invalid(field: str, message: str) -> DomainError:
    return DomainError(
        "request.invalid", errors=[{"source": "body", "field": field, "message": message}]
    )
