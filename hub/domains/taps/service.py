"""Taps into the database: verified one by one, recorded batch by batch, each with a verdict."""

from collections.abc import Iterable, Sequence
from typing import Final, cast

import msgspec

from core import clock, log
from core.actor import SYSTEM
from core.crypto import DecryptionError, FieldCipher
from core.db import Conflict, Pool, Tx, begin
from core.errors import DomainError
from firmware_bridge import tap
from hub.domains.gateways import service as gateways
from hub.domains.taps import queries
from hub.domains.taps.rules import refuse, tap_time
from hub.domains.taps.schemas import Answered, Arrival, Refusal, RingKey, TapRow, Verdict

REFUSED_KEPT_MAX: Final = 1000
"""Refused taps kept per gateway; more of them are answered and counted, not kept."""
_REREAD_SECONDS: Final = 1.0
_KEY_COLUMN: Final = "rings.tap_key"

_log = log.get("taps")


class RingKeys:
    """The rings' keys, opened and cached for a short time, so that a change is soon seen."""

    def __init__(self, cipher: FieldCipher, cache_seconds: float) -> None:
        self._cipher = cipher
        self._cache_seconds = cache_seconds
        self._keys: dict[bytes, tuple[bytes | None, float]] = {}

    async def read(self, tx: Tx, device_ids: Iterable[bytes]) -> dict[bytes, bytes | None]:
        """Return key by device id: None where it cannot be opened, missing where there is no ring.

        What is unknown is always asked anew: a refusal is final, and the ring may be new.
        """
        wanted = set(device_ids)
        now = clock.monotonic_seconds()
        self._forget(now)
        if missing := wanted - self._keys.keys():
            for row in await queries.ring_keys.all(tx, list(missing)):
                self._keys[row.device_id] = (self._open(row), now)
        return {device_id: self._keys[device_id][0] for device_id in wanted & self._keys.keys()}

    async def reread(self, tx: Tx, device_ids: Iterable[bytes]) -> dict[bytes, bytes | None]:
        """Return the keys afresh: one may have been changed. Asked so at most once a second."""
        now = clock.monotonic_seconds()
        wanted = set(device_ids)
        for device_id in wanted:
            if device_id in self._keys and now - self._keys[device_id][1] >= _REREAD_SECONDS:
                del self._keys[device_id]
        return await self.read(tx, wanted)

    def _forget(self, now: float) -> None:
        old = [
            device_id
            for device_id, (_, read_at) in self._keys.items()
            if now - read_at >= self._cache_seconds
        ]
        for device_id in old:
            del self._keys[device_id]

    def _open(self, row: RingKey) -> bytes | None:
        if row.tap_key is None:
            return None
        try:
            return self._cipher.open(row.tap_key, column=_KEY_COLUMN, row=row.id.bytes)
        except DecryptionError:
            _log.error("tap_key_unreadable", ring_id=str(row.id))
            return None


async def record(
    pool: Pool, keys: RingKeys, arrivals: Sequence[Arrival | Refusal]
) -> list[Answered]:
    """Record a batch and return the verdicts, which hold from now on: the commit is done.

    A tap that the database cannot take is found by halving the batch, and keeps no other waiting.
    Raises DomainError("service.unavailable") while the database is away; then nothing is decided.
    """
    try:
        return await _record(pool, keys, arrivals)
    except Exception as error:  # sorted below: outage, bad value, fault of ours
        if _is_code(error, "service.unavailable"):
            raise
        if len(arrivals) == 1:
            if isinstance(error, Conflict) or _is_code(error, "request.invalid"):
                return await _refuse_unstorable(pool, arrivals[0])
            # A fault of ours, not of the tap: nothing final may come of it.
            _log.exception("tap_deferred")
            return _answers(arrivals, {0: "deferred"})
    middle = len(arrivals) // 2
    return [
        *await record(pool, keys, arrivals[:middle]),
        *await record(pool, keys, arrivals[middle:]),
    ]


async def _record(
    pool: Pool, keys: RingKeys, arrivals: Sequence[Arrival | Refusal]
) -> list[Answered]:
    async with begin(pool, SYSTEM) as tx:
        verdicts = await _verify(tx, keys, arrivals)
        good = [
            i for i, item in enumerate(arrivals) if isinstance(item, Arrival) and i not in verdicts
        ]
        if good:
            rows = [_row(cast("Arrival", arrivals[i])) for i in good]
            for row in await queries.record_taps.all(tx, msgspec.json.encode(rows)):
                verdicts[good[row.position]] = _verdict(row.outcome)
        for i, verdict in verdicts.items():
            item = arrivals[i]
            if verdict in ("committed", "deferred", "untrusted"):
                continue
            await _keep(tx, item if isinstance(item, Refusal) else refuse(item, verdict))
    return _answers(arrivals, verdicts)


async def _verify(
    tx: Tx, keys: RingKeys, arrivals: Sequence[Arrival | Refusal]
) -> dict[int, Verdict]:
    """Return verdicts by position for all taps that must not be recorded."""
    verdicts: dict[int, Verdict] = {}
    trusted = await gateways.trusted(tx, {item.gateway_id for item in arrivals})
    known = await keys.read(tx, {i.event.ring for i in arrivals if isinstance(i, Arrival)})
    doubtful: list[int] = []
    for i, item in enumerate(arrivals):
        if item.gateway_id not in trusted:
            verdicts[i] = "untrusted"  # its taps stay in its spool until somebody registers it
        elif isinstance(item, Refusal):
            verdicts[i] = item.reason
        elif item.event.ring not in known:
            verdicts[i] = "unknown_ring"
        elif (key := known[item.event.ring]) is None:
            verdicts[i] = "deferred"  # our key ring lacks a key: not the ring's fault
        elif not _is_signed(item, key):
            doubtful.append(i)
    if doubtful:
        fresh = await keys.reread(tx, {cast("Arrival", arrivals[i]).event.ring for i in doubtful})
        for i in doubtful:
            item = cast("Arrival", arrivals[i])
            key = fresh.get(item.event.ring)
            if key is None or not _is_signed(item, key):
                verdicts[i] = "bad_tag"
    return verdicts


def _is_signed(item: Arrival, key: bytes) -> bool:
    return tap.verify(item.event.raw, ring_id=item.event.ring, key=key)


def _row(item: Arrival) -> TapRow:
    event, record = item.event, item.record
    time = tap_time(event, item.received_ms)
    return TapRow(
        device_id=event.ring.hex(),
        gateway_id=item.gateway_id,
        kind=record.kind,
        source="ble",
        boot=record.boot,
        seq=record.seq,
        raw=event.raw.hex(),
        peer_eid=None if record.peer_eid is None else record.peer_eid.hex(),
        peer_ctr=None if record.peer_eid is None else record.peer_ctr,
        lat=event.lat,
        lon=event.lon,
        rssi=event.rssi,
        tapped_at=time.tapped_at,
        uncertainty_ms=time.uncertainty_ms,
        time_source=time.source,
    )


def _verdict(outcome: str) -> Verdict:
    match outcome:
        case "recorded" | "duplicate":
            return "committed"
        case "unknown_ring" | "ring_revoked" | "counter_stale":
            return outcome
        case _:
            _log.error("outcome_unknown", outcome=outcome)
            return "deferred"


async def _refuse_unstorable(pool: Pool, item: Arrival | Refusal) -> list[Answered]:
    refusal = refuse(item, "malformed") if isinstance(item, Arrival) else item
    try:
        async with begin(pool, SYSTEM) as tx:
            await _keep(tx, refusal)
    except Conflict as error:  # its gateway was deleted just now: nobody waits for an answer
        _log.warning("refusal_not_kept", constraint=error.constraint_name)
    return _answers([item], {0: refusal.reason})


def _is_code(error: Exception, code: str) -> bool:
    return isinstance(error, DomainError) and error.code == code


async def _keep(tx: Tx, item: Refusal) -> None:
    _log.warning("tap_refused", reason=item.reason, gateway_id=str(item.gateway_id))
    await queries.keep_refused.run(
        tx,
        item.gateway_id,
        item.device_id,
        item.boot,
        item.seq,
        item.reason,
        item.raw,
        REFUSED_KEPT_MAX,
    )


def _answers(arrivals: Sequence[Arrival | Refusal], verdicts: dict[int, Verdict]) -> list[Answered]:
    answers: list[Answered] = []
    for i, item in enumerate(arrivals):
        ring, boot, seq = _key(item)
        if boot is not None and seq is not None:
            answers.append(Answered(item.gateway_id, ring, boot, seq, verdicts.get(i, "deferred")))
    return answers


def _key(item: Arrival | Refusal) -> tuple[bytes, int | None, int | None]:
    if isinstance(item, Arrival):
        return item.event.ring, item.event.boot, item.event.seq
    return item.device_id, item.boot, item.seq
