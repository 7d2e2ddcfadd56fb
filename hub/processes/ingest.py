"""Carries taps from MQTT into PostgreSQL.

Order is everything: COMMIT, then the end-to-end acknowledgement to the gateway, then the MQTT one.
A crash between any two steps makes the gateway send again, and the database knows the tap.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from prometheus_client import Counter, Histogram

from core import authority as ca
from core import clock, config, edge, log, metrics
from core.actor import SYSTEM
from core.authority import Authority
from core.budget import Budget
from core.config import Settings
from core.crypto import blind_index
from core.db import Pool, begin, by_halves
from core.errors import DomainError
from core.pause import pause_seconds
from core.sparingly import Sparingly
from hub.domains.certificates import service as certificates
from hub.domains.certificates.mqtt import read_request, write_reply
from hub.domains.certificates.schemas import Renewed
from hub.domains.encryption import service as encryption
from hub.domains.gateways import service as gateways
from hub.domains.gateways.mqtt import (
    read_health,
    read_info,
    read_presence,
    read_ring_state,
)
from hub.domains.gateways.schemas import Answer, Message
from hub.domains.reads import service as reads
from hub.domains.reads.mqtt import read_read, write_read_acks
from hub.domains.taps import service as taps
from hub.domains.taps.mqtt import read_tap, write_acks
from hub.processes.lifecycle import run_until_stopped
from hub.providers.authority import open_authority
from hub.providers.keys import read_cipher, read_index_key, read_sun_master_key
from hub.providers.mqtt import Delivery, MqttLink

# One batch in the database while the next one gathers.
_BATCHES_IN_FLIGHT: Final = 2
CONNECTIONS: Final = 2
"""How many to PostgreSQL one process holds: one per batch in flight."""
_COUNT_SECONDS: Final = 15.0
_REPORTS: Final = ("/state", "/info", "/health")

_log = log.get("ingest")
_said = Sparingly()
# A gateway with hundreds of rings tells of all of them when it has come back.
_reports_allowed = Budget(burst=1000, per_second=5)
_taps = Counter("pinghub_ingest_taps", "Taps by verdict", ["verdict"])
_reads = Counter("pinghub_ingest_reads", "Reads of NFC readers by verdict", ["verdict"])
_reports_dropped = Counter("pinghub_ingest_reports_dropped", "Reports that no column takes")
_reports_over_budget = Counter(
    "pinghub_ingest_reports_over_budget", "Reports of gateways that sent too many of them"
)
_reports_unreadable = Counter(
    "pinghub_ingest_reports_unreadable", "Reports of gateways that are none by the contract"
)
_batch_seconds = Histogram("pinghub_ingest_batch_seconds", "Time from receipt to commit of a batch")


def run(settings: Settings) -> None:
    """Ingest until stopped."""
    log.configure(settings.log.level, settings.log.style)
    metrics.serve(settings.metrics.port)
    run_until_stopped(lambda: _main(settings))


def filters(settings: Settings) -> list[str]:
    """Return what to subscribe to.

    Taps are shared among the ingest processes where the broker can. Presence is not: retained
    messages never reach a shared subscription, and noting it twice changes nothing.
    """
    is_shared = settings.mqtt.shared_subscription and settings.mqtt.version == "5"
    share = f"$share/{_share_group(settings.keys)}/" if is_shared else ""
    return [
        share + edge.TAPS_FILTER,
        share + edge.READS_FILTER,
        share + edge.CSR_FILTER,
        edge.STATE_FILTER,
        edge.INFO_FILTER,
        edge.HEALTH_FILTER,
        edge.RING_STATE_FILTER,
    ]


def _share_group(keys: config.Keys) -> str:
    """Return the group's name, known to the ingest processes alone.

    A broker lets anybody join a group and only then drops what they may not read: a gateway that
    knew the name would make its share of all taps vanish.
    """
    secret = config.require(keys.index_key, "keys.index_key")
    return f"hub-{blind_index(secret.encode(), 'mqtt.share_group', '').hex()[:32]}"


class Keys(msgspec.Struct, frozen=True):
    """What taps, reads and certificate requests are judged with."""

    rings: taps.RingKeys
    tags: reads.TagKeys
    authority: Authority | None = None
    pki: config.Pki = config.Pki()


async def ingest_batch(pool: Pool, keys: Keys, messages: Sequence[Message]) -> list[Answer]:
    """Commit what the messages say; return the answers to their gateways."""
    arrivals = [read_tap(message) for message in messages if message.topic.endswith("/tap")]
    if readable := [item for item in arrivals if item is not None]:
        verdicts = await taps.record(pool, keys.rings, readable)
    else:
        verdicts = []
    answers = await _record_reads(pool, keys.tags, _on(messages, "/sun"))
    answers += await _note_gateways(pool, _reports(messages))
    answers += await _renew_certificates(pool, keys, _on(messages, "/csr"))
    for verdict in verdicts:
        _taps.labels(verdict.verdict).inc()
    return write_acks(verdicts) + answers


async def _record_reads(
    pool: Pool, keys: reads.TagKeys, messages: Sequence[Message]
) -> list[Answer]:
    """Commit what readers have read; return the answers to their gateways."""
    readable = [item for item in map(read_read, messages) if item]
    verdicts = await reads.record(pool, keys, readable) if readable else []
    for verdict in verdicts:
        _reads.labels(verdict.verdict).inc()
    return write_read_acks(verdicts)


async def _note_gateways(pool: Pool, messages: Sequence[Message]) -> list[Answer]:
    """Commit what gateways say of themselves; return what the hub wants of them.

    Nobody's nonsense keeps others waiting, least of all the answers to their taps.
    """
    return await by_halves(
        messages, partial(_note, pool), refuse=_drop_report, defer=lambda _message: []
    )


async def _note(pool: Pool, messages: Sequence[Message]) -> list[Answer]:
    presences = [item for item in map(read_presence, _on(messages, "/state")) if item]
    infos = [item for item in map(read_info, _on(messages, "/info")) if item]
    reports = [item for item in map(read_health, _on(messages, "/health")) if item]
    seen = [item for item in map(read_ring_state, _on(messages, "/state")) if item]
    async with begin(pool, SYSTEM) as tx:
        await gateways.note_presence(tx, presences)
        answers = await gateways.note_info(tx, infos)
        await gateways.note_health(tx, reports)
        await gateways.note_rings(tx, seen)
    unreadable = len(messages) - len(presences) - len(infos) - len(reports) - len(seen)
    _note_unreadable(messages, unreadable)
    return answers


async def _drop_report(message: Message) -> list[Answer]:
    _reports_dropped.inc()
    if times := _said.turn(message.topic):
        _log.warning("report_dropped", topic=message.topic, times=times)
    return []


def _note_unreadable(messages: Sequence[Message], count: int) -> None:
    """Count the reports that are none by the contract; the log names who may have sent them."""
    if count <= 0:
        return
    _reports_unreadable.inc(count)
    gateways = {edge.gateway_of(message.topic) for message in messages}
    if len(gateways) == 1 and (times := _said.turn(gateway := gateways.pop())):
        _log.warning("report_unreadable", gateway_id=gateway, times=times)


async def _renew_certificates(pool: Pool, keys: Keys, messages: Sequence[Message]) -> list[Answer]:
    """Commit what gateways ask for their identity, each for itself; return the answers."""
    trusted = ca.trusted_pem(keys.authority) if keys.authority else ""
    # One per gateway and batch: nobody's requests hold up the others' taps.
    requests = {item.gateway_id: item for item in map(read_request, messages) if item}
    answers: list[Answer] = []
    for request in requests.values():
        try:
            async with begin(pool, SYSTEM) as tx:
                renewed = await certificates.renew(tx, keys.authority, keys.pki, request)
        except DomainError:
            raise
        except Exception:  # noqa: BLE001  # logged; the taps of the batch are committed and wait
            _log.exception("renewal_failed", gateway_id=str(request.gateway_id))
            renewed = Renewed("unavailable")
        answers.append(write_reply(request, renewed, trusted))
    return answers


def _reports(messages: Sequence[Message]) -> list[Message]:
    return [item for item in messages if item.topic.endswith(_REPORTS)]


def _on(messages: Sequence[Message], ending: str) -> list[Message]:
    return [message for message in messages if message.topic.endswith(ending)]


async def _main(settings: Settings) -> None:
    database = settings.database
    config.require(settings.mqtt.url, "mqtt.url")
    pool = await Pool.configured(
        database, config.require(database.system_url, "database.system_url"), max_size=CONNECTIONS
    )
    cipher = read_cipher(settings)
    keys = Keys(
        rings=taps.RingKeys(cipher, settings.ingest.ring_cache_seconds),
        tags=reads.TagKeys(read_sun_master_key(settings), read_index_key(settings), cipher),
        authority=open_authority(settings.pki),
        pki=settings.pki,
    )
    link = MqttLink(
        settings.mqtt,
        filters=filters(settings),
        in_flight_max=settings.ingest.batch_max_taps * _BATCHES_IN_FLIGHT,
    )
    link.start()
    try:
        async with encryption.kept(pool, cipher, settings.keys), asyncio.TaskGroup() as group:
            group.create_task(_report_ready(link))
            group.create_task(_count_gateways(pool))
            group.create_task(_carry(link, pool, keys, settings.ingest))
    finally:
        await link.close()
        await pool.close()


async def _carry(link: MqttLink, pool: Pool, keys: Keys, settings: config.Ingest) -> None:
    while True:
        batch = await link.receive(settings.batch_max_taps, settings.batch_wait_seconds)
        started = clock.monotonic_seconds()
        answers = await _ingest_for_ever(pool, keys, batch)
        _batch_seconds.observe(clock.monotonic_seconds() - started)
        for answer in answers:
            link.publish(answer.topic, answer.payload)
        link.acknowledge(batch)


async def _ingest_for_ever(pool: Pool, keys: Keys, batch: Sequence[Delivery]) -> list[Answer]:
    messages = affordable(
        [Message(item.topic, item.payload, item.received_ms) for item in batch], _reports_allowed
    )
    failures = 0
    while True:
        try:
            return await ingest_batch(pool, keys, messages)
        except DomainError as error:
            if error.code != "service.unavailable":
                _log.exception("batch_dropped")
                return []
            failures += 1
            if failures == 1 or failures % 20 == 0:
                _log.warning("ingest_waits", code=error.code, failures=failures)
            await asyncio.sleep(pause_seconds(failures))
        except Exception:  # noqa: BLE001  # logged; never a reason to stop
            # Unanswered, the taps come again; a loop of crashes would stop everybody's.
            _log.exception("batch_dropped")
            return []


def affordable(messages: Sequence[Message], allowed: Budget) -> list[Message]:
    """Return the messages without the reports of gateways that report without end.

    Each report may become a row and an event. Taps and reads are their rings' word, not theirs.
    """
    kept: list[Message] = []
    for message in messages:
        is_report = message.topic.endswith(_REPORTS)
        if is_report and not allowed.take(gateway := edge.gateway_of(message.topic)):
            _reports_over_budget.inc()
            if times := _said.turn(("over budget", gateway)):
                _log.warning("reports_over_budget", gateway_id=gateway, times=times)
        else:
            kept.append(message)
    return kept


async def _count_gateways(pool: Pool) -> None:
    """Keep the figures of all gateways; each ingest process tells the same."""
    while True:
        try:
            async with begin(pool, SYSTEM, read_only=True) as tx:
                await gateways.count(tx)
        except DomainError as error:
            _log.debug("gateways_uncounted", code=error.code)
        except Exception:  # noqa: BLE001  # figures are never a reason to stop
            _log.exception("gateways_uncounted")
        await asyncio.sleep(_COUNT_SECONDS)


async def _report_ready(link: MqttLink) -> None:
    await link.subscribed.wait()
    _log.info("process_ready")
