"""Taps into the database: verified one by one, recorded batch by batch, each with a verdict."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from core import clock, log
from core.actor import SYSTEM
from core.crypto import DecryptionError, FieldCipher
from core.db import Conflict, Pool, Tx, begin, by_halves
from core.sparingly import Sparingly
from hub.domains.gateways import service as gateways
from hub.domains.taps import queries
from hub.domains.taps.rules import refuse, signer_of, tap_time
from hub.domains.taps.schemas import (
    Answered,
    Arrival,
    OpenKeys,
    Refusal,
    SealedKeys,
    Signer,
    TapRow,
    Verdict,
)

REFUSED_KEPT_MAX: Final = 1000
"""Refused taps kept per gateway; more of them are answered and counted, not kept."""
PLACES_AT_ONCE: Final = 10_000
"""Places taken away by one statement, which has the time of any other."""
_ROUNDS: Final = 3
"""How often a batch is judged, each time with keys read anew."""
_KEY_COLUMN: Final = "rings.tap_key"

_log = log.get("taps")
_said = Sparingly()


class RingKeys:
    """The rings' keys, opened and cached; a change is noticed by what is recorded with an old one.

    Each set of keys has a version. The database refuses a tap that was verified with another
    version than the ring has, so that a cached key is never of use after its time.
    """

    def __init__(self, cipher: FieldCipher, cache_seconds: float) -> None:
        self._cipher = cipher
        self._cache_seconds = cache_seconds
        self._keys: dict[bytes, tuple[SealedKeys, OpenKeys | None, float]] = {}

    async def read(self, tx: Tx, device_ids: Iterable[bytes]) -> dict[bytes, OpenKeys | None]:
        """Return keys by device id: None where none can be opened, missing where there is no ring.

        What is unknown is always asked anew: a refusal is final, and the ring may be new.
        """
        wanted = set(device_ids)
        self._drop_old(clock.monotonic_seconds())
        await self._ask(tx, wanted - self._keys.keys())
        return {device_id: self._keys[device_id][1] for device_id in wanted & self._keys.keys()}

    async def reread(self, tx: Tx, device_ids: Iterable[bytes]) -> dict[bytes, OpenKeys | None]:
        """Return the keys afresh, by one query; only what has changed is opened."""
        wanted = set(device_ids)
        await self._ask(tx, wanted)
        return {device_id: self._keys[device_id][1] for device_id in wanted & self._keys.keys()}

    def forget(self, device_ids: Iterable[bytes]) -> None:
        """Ask anew for these the next time."""
        for device_id in device_ids:
            self._keys.pop(device_id, None)

    async def _ask(self, tx: Tx, wanted: set[bytes]) -> None:
        if not wanted:
            return
        now = clock.monotonic_seconds()
        rows = await queries.ring_keys.all(tx, list(wanted))
        self.forget(wanted - {row.device_id for row in rows})
        for row in rows:
            known = self._keys.get(row.device_id)
            opened = known[1] if known is not None and known[0] == row else self._open(row)
            self._keys[row.device_id] = (row, opened, now)

    def _drop_old(self, now: float) -> None:
        old = [
            device_id
            for device_id, (_, _, read_at) in self._keys.items()
            if now - read_at >= self._cache_seconds
        ]
        self.forget(old)

    def _open(self, row: SealedKeys) -> OpenKeys | None:
        def opened(sealed: bytes) -> bytes:
            return self._cipher.open(sealed, column=_KEY_COLUMN, row=row.id.bytes)

        if row.present is None:
            return None
        try:
            return OpenKeys(
                row.version,
                opened(row.present),
                None if row.following is None else opened(row.following),
                None if row.former is None else opened(row.former),
                (row.rotated_boot or 0, row.rotated_seq or 0),
            )
        except DecryptionError:
            _log.error("tap_key_unreadable", ring_id=str(row.id))
            return None


class _Signed(msgspec.Struct, frozen=True):
    """A tap whose tag verifies, the keys it was verified with, and which of them it was."""

    item: Arrival
    keys: OpenKeys
    signer: Signer

    @property
    def counters(self) -> tuple[int, int]:
        return self.item.event.boot, self.item.event.seq


async def record(
    pool: Pool, keys: RingKeys, arrivals: Sequence[Arrival | Refusal]
) -> list[Answered]:
    """Record a batch and return the verdicts, which hold from now on: the commit is done.

    A tap that the database cannot take is found by halving the batch, and keeps no other waiting.
    Raises DomainError("service.unavailable") while the database is away; then nothing is decided.
    """
    return await by_halves(
        arrivals,
        partial(_record, pool, keys),
        refuse=partial(_refuse_unstorable, pool),
        defer=lambda item: _answers([item], {0: "deferred"}),
    )


async def forget_places(tx: Tx, user_id: UUID, until: datetime) -> None:
    """Take away where a user's taps were, up to a moment; the taps stay. For ping_system."""
    last: UUID | None = UUID(int=0)
    while last is not None:
        last = await queries.forget_places.first(tx, user_id, until, last, PLACES_AT_ONCE)


async def _record(
    pool: Pool, keys: RingKeys, arrivals: Sequence[Arrival | Refusal]
) -> list[Answered]:
    async with begin(pool, SYSTEM) as tx:
        verdicts: dict[int, Verdict] = {}
        trusted = await gateways.trusted(tx, {item.gateway_id for item in arrivals})
        waiting: dict[int, Arrival] = {}
        for i, item in enumerate(arrivals):
            if item.gateway_id not in trusted:
                verdicts[i] = "untrusted"  # its taps stay in its spool until somebody registers it
            elif isinstance(item, Refusal):
                verdicts[i] = item.reason
            else:
                waiting[i] = item
        for _ in range(_ROUNDS):
            if waiting:
                waiting = await _judge(tx, keys, waiting, verdicts)
        # What is left has keys that change faster than we read them: `deferred` by its absence.
        for i, verdict in verdicts.items():
            item = arrivals[i]
            if verdict in ("committed", "deferred", "untrusted"):
                continue
            await _keep(tx, item if isinstance(item, Refusal) else refuse(item, verdict))
    return _answers(arrivals, verdicts)


async def _judge(
    tx: Tx, keys: RingKeys, waiting: dict[int, Arrival], verdicts: dict[int, Verdict]
) -> dict[int, Arrival]:
    """Verify and record taps; return those whose ring has got other keys meanwhile."""
    signed = await _verify(tx, keys, waiting, verdicts)
    if not signed:
        return {}
    places = list(signed)
    again: dict[int, Arrival] = {}
    recorded: list[_Signed] = []
    rows = [_row(signed[i].item, signed[i].keys.version) for i in places]
    for row in await queries.record_taps.all(tx, msgspec.json.encode(rows)):
        place = places[row.position]
        if row.outcome == "key_changed":
            again[place] = waiting[place]
            continue
        verdicts[place] = _verdict(row.outcome)
        if verdicts[place] == "committed":
            recorded.append(signed[place])
    keys.forget(item.event.ring for item in again.values())
    await _follow_keys(tx, keys, recorded)
    return again


async def _follow_keys(tx: Tx, keys: RingKeys, recorded: Iterable[_Signed]) -> None:
    """Note which rings have taken their new keys, and which have not heard that they may."""
    unconfirmed: dict[bytes, UUID] = {}
    first: dict[bytes, _Signed] = {}
    for tap_ in recorded:
        ring = tap_.item.event.ring
        if tap_.signer == "present" and tap_.keys.following is not None:
            unconfirmed[ring] = tap_.item.gateway_id
        is_news = tap_.signer == "following" or (
            tap_.signer == "present"
            and tap_.keys.former is not None
            and tap_.counters < tap_.keys.rotated
        )
        if is_news and (ring not in first or tap_.counters < first[ring].counters):
            first[ring] = tap_
    for ring, tap_ in first.items():
        turn = queries.turn_key if tap_.signer == "following" else queries.turned_earlier
        await turn.run(tx, ring, tap_.keys.version, *tap_.counters)
    keys.forget(first)
    for ring in unconfirmed.keys() - first.keys():
        await queries.remind.run(tx, ring, unconfirmed[ring])


async def _verify(
    tx: Tx, keys: RingKeys, waiting: dict[int, Arrival], verdicts: dict[int, Verdict]
) -> dict[int, _Signed]:
    """Return the taps whose tag verifies; the others get their verdict."""
    known = await keys.read(tx, {item.event.ring for item in waiting.values()})
    signed: dict[int, _Signed] = {}
    doubtful: list[int] = []
    for i, item in waiting.items():
        if item.event.ring not in known:
            verdicts[i] = "unknown_ring"
        elif (of := known[item.event.ring]) is None:
            verdicts[i] = "deferred"  # our key ring lacks a key: not the ring's fault
        elif (signer := signer_of(item.event, of)) is None:
            doubtful.append(i)
        else:
            signed[i] = _Signed(item, of, signer)
    if doubtful:
        # A refusal is final, and the keys may be new since a moment ago.
        fresh = await keys.reread(tx, {waiting[i].event.ring for i in doubtful})
        for i in doubtful:
            item = waiting[i]
            of = fresh.get(item.event.ring)
            if of is None or (signer := signer_of(item.event, of)) is None:
                verdicts[i] = "bad_tag"
            else:
                signed[i] = _Signed(item, of, signer)
    return signed


def _row(item: Arrival, key_version: int) -> TapRow:
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
        key_version=key_version,
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


async def _keep(tx: Tx, item: Refusal) -> None:
    gateway_id = str(item.gateway_id)
    if times := _said.turn((gateway_id, item.reason)):
        _log.warning("tap_refused", reason=item.reason, gateway_id=gateway_id, times=times)
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
