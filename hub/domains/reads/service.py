"""Reads into the database: judged one by one, recorded batch by batch, each with a verdict.

A SUN link goes by the rules of `GET /t`: one counter for both ways, so that a link that a reader
read and a phone opened is one tap. A static tag is recorded as unverified; no contact comes of it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from core import log
from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import Conflict, Pool, Tx, begin, by_halves
from core.edge import RejectCode
from core.errors import DomainError
from core.sparingly import Sparingly
from firmware_bridge.sun import COUNTER_MAX
from hub.domains.gateways import service as gateways
from hub.domains.reads import queries, rules
from hub.domains.reads.schemas import ReadAnswered, ReadArrival, ReadRefusal, ReadRow
from hub.domains.rings import service as rings
from hub.domains.taps import service as taps
from hub.domains.taps.schemas import Verdict

_FINAL: Final = frozenset({"unknown_ring", "bad_tag", "ring_revoked", "counter_stale"})
_NOT_KEPT: Final = frozenset({"committed", "deferred", "untrusted"})

_log = log.get("reads")
_said = Sparingly()


class TagKeys(msgspec.Struct, frozen=True):
    """What reads are judged with."""

    sun_master: bytes
    index: bytes
    cipher: FieldCipher


async def record(
    pool: Pool, keys: TagKeys, arrivals: Sequence[ReadArrival | ReadRefusal]
) -> list[ReadAnswered]:
    """Record a batch and return the verdicts, which hold from now on: the commit is done.

    A read that the database cannot take is found by halving the batch, and keeps no other waiting.
    Raises DomainError("service.unavailable") while the database is away; then nothing is decided.
    """
    return await by_halves(
        arrivals,
        partial(_record, pool, keys),
        refuse=partial(_refuse_unstorable, pool),
        defer=lambda item: _answers([item], {0: "deferred"}),
    )


async def _record(
    pool: Pool, keys: TagKeys, arrivals: Sequence[ReadArrival | ReadRefusal]
) -> list[ReadAnswered]:
    verdicts: dict[int, Verdict] = {}
    rows: list[ReadRow] = []
    places: list[int] = []
    async with begin(pool, SYSTEM) as tx:
        trusted = await gateways.trusted(tx, {item.gateway_id for item in arrivals})
        for i, item in enumerate(arrivals):
            if item.gateway_id not in trusted:
                verdicts[i] = "untrusted"
            elif isinstance(item, ReadRefusal):
                verdicts[i] = item.reason
            elif isinstance(judged := _judge(item, keys), ReadRow):
                rows.append(judged)
                places.append(i)
            else:
                verdicts[i] = judged
        if rows:
            for row in await queries.record_reads.all(tx, msgspec.json.encode(rows)):
                verdicts[places[row.position]] = _verdict(row.outcome)
                if row.outcome == "recorded" and rows[row.position].counter == COUNTER_MAX:
                    _log.warning("sun_tag_worn_out", ring_id=str(row.ring_id))
        for i, verdict in verdicts.items():
            if verdict not in _NOT_KEPT:
                await _keep(tx, _refusal(arrivals[i], verdict))
    return _answers(arrivals, verdicts)


def _judge(item: ReadArrival, keys: TagKeys) -> ReadRow | Verdict:
    """Return what is to be recorded, or why not."""
    read = item.read
    if rules.claims_proof(read):
        try:
            tap = rings.verify_sun(keys.sun_master, read.url)
        except DomainError:
            return "bad_tag"
        uid, counter = tap.uid, tap.counter
    else:
        uid, counter = rules.claimed_uid(read), None
        if uid is None:
            return "unknown_ring"
    time = taps.tap_time(read, item.received_ms)
    return ReadRow(
        gateway_id=item.gateway_id,
        read_id=read.id.hex(),
        nfc_uid_hashes=[
            live.hex() for live in keys.cipher.indexes.live(rings.nfc_uid_hash(keys.index, uid))
        ],
        counter=counter,
        raw=read.url.encode().hex(),
        lat=read.lat,
        lon=read.lon,
        tapped_at=time.tapped_at,
        uncertainty_ms=time.uncertainty_ms,
        time_source=time.source,
    )


def _verdict(outcome: str) -> Verdict:
    if outcome in ("recorded", "duplicate"):
        return "committed"
    if outcome in _FINAL:
        return msgspec.convert(outcome, Verdict)
    _log.error("outcome_unknown", outcome=outcome)
    return "deferred"


async def _refuse_unstorable(pool: Pool, item: ReadArrival | ReadRefusal) -> list[ReadAnswered]:
    refusal = _refusal(item, "malformed")
    try:
        async with begin(pool, SYSTEM) as tx:
            await _keep(tx, refusal)
    except Conflict as error:  # its gateway was deleted just now: nobody waits for an answer
        _log.warning("refusal_not_kept", constraint=error.constraint_name)
    return _answers([item], {0: refusal.reason})


def _refusal(item: ReadArrival | ReadRefusal, verdict: Verdict) -> ReadRefusal:
    if isinstance(item, ReadRefusal):
        return item
    reason = msgspec.convert(verdict, RejectCode)
    return ReadRefusal(item.gateway_id, reason, item.read.id, item.read.url.encode())


async def _keep(tx: Tx, item: ReadRefusal) -> None:
    gateway_id = str(item.gateway_id)
    if times := _said.turn((gateway_id, item.reason)):
        _log.warning("read_refused", reason=item.reason, gateway_id=gateway_id, times=times)
    await queries.keep_refused.run(
        tx, item.gateway_id, item.read_id, item.reason, item.raw, taps.REFUSED_KEPT_MAX
    )


def _answers(
    arrivals: Sequence[ReadArrival | ReadRefusal], verdicts: dict[int, Verdict]
) -> list[ReadAnswered]:
    answers: list[ReadAnswered] = []
    for i, item in enumerate(arrivals):
        read_id = item.read.id if isinstance(item, ReadArrival) else item.read_id
        if read_id is not None:
            answers.append(ReadAnswered(item.gateway_id, read_id, verdicts.get(i, "deferred")))
    return answers
