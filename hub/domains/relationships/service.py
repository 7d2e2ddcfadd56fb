"""The health of relationships: what it is, and when it is computed.

After each interaction and each change of closeness, and each night for everybody.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import compress
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace
from prometheus_client import Gauge

from core import clock
from core.db import Tx
from core.errors import DomainError
from hub.domains.contacts import service as contacts
from hub.domains.relationships import queries, rules
from hub.domains.relationships.schemas import (
    Assessment,
    Band,
    Components,
    HealthItem,
    HealthRow,
    HealthSeries,
    Key,
    LateShard,
    Past,
    RelationshipHealth,
    Snapshot,
)
from hub.http import page

HEALTH_LISTING: Final = "health"
SNAPSHOTS_LISTING: Final = "health_snapshots"
SNAPSHOTS_MONTHS: Final = 24
SERIES_DAYS: Final = 90
BATCH_CONTACTS: Final = 250
"""Of the daily pass in one transaction, which holds their locks for some ten milliseconds.

A thousand take as much CPU for each, and four times as long for those with many interactions.
"""
# As people read them; contacts' strengths more coarsely, or all of them were written each night.
_SCORE_DIGITS: Final = 2
_STRENGTH_DIGITS: Final = 4
_CONTACT_STRENGTH_DIGITS: Final = 2

_night = Gauge(
    "pinghub_health_night_timestamp_seconds",
    "When the last daily pass began that all relationships are through",
)


async def list_health(
    tx: Tx, *, band: Band | None, contact_ids: Sequence[UUID] | None, limit: int, cursor: str | None
) -> page.Page[HealthItem]:
    """Return the actor's relationships, or those with some contacts, the weakest first."""
    after = page.decode_cursor(cursor, HEALTH_LISTING, tuple[float, UUID])
    rows = await queries.list_health.all(tx, band, contact_ids, *(after or (None, None)), limit + 1)
    return page.paginate(rows, limit, HEALTH_LISTING, lambda item: (item.score, item.contact_id))


async def get_health(tx: Tx, contact_id: UUID) -> RelationshipHealth:
    """Return the health of a relationship, with what it is made of."""
    row = await queries.find_health.first(tx, contact_id)
    if row is None:
        await contacts.find(tx, contact_id)
        raise DomainError("health.unknown")
    return _shown(row)


async def list_history(
    tx: Tx, contact_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Snapshot]:
    """Return the days on which a score was another one than the day before, the newest first."""
    await contacts.find(tx, contact_id)
    before = page.decode_cursor(cursor, SNAPSHOTS_LISTING, tuple[date])
    rows = await queries.list_snapshots.all(tx, contact_id, before and before[0], limit + 1)
    return page.paginate(rows, limit, SNAPSHOTS_LISTING, lambda snapshot: (snapshot.taken_on,))


async def get_series(
    tx: Tx, contact_id: UUID, *, since: date | None, until: date | None, points_max: int
) -> HealthSeries:
    """Return scores at even steps, for a chart; by default the last 90 days."""
    await contacts.find(tx, contact_id)
    today = rules.health_day(clock.now())
    last = min(until or today, today)
    first = since or date.fromordinal(max(1, last.toordinal() - SERIES_DAYS + 1))
    days = await queries.read_series.all(tx, contact_id, first, last)
    step_days, points = rules.series(days, first, last, points_max)
    return HealthSeries(contact_id=contact_id, step_days=step_days, points=points)


async def refresh(tx: Tx, user_id: UUID, contact_id: UUID) -> None:
    """Compute the health of a relationship now; a system transaction. Again is harmless."""
    # Whoever computes it at the same time has to have read what this transaction has not: one
    # waits for the other, and reads after that. Without a row yet, at the contact itself.
    if not await queries.lock_health.all(tx, user_id, contact_id):
        await queries.lock_contact.all(tx, user_id, contact_id)
        await queries.lock_health.all(tx, user_id, contact_id)
    await _compute(tx, [Key(user_id, contact_id)], clock.now())


async def recalculate(tx: Tx) -> bool:
    """Do a batch of the daily pass; return whether one is left. A system transaction.

    Each shard is one process's at a time; several of them are worked on by several.
    """
    today = rules.health_day(clock.now())
    shard = await queries.take_shard.first(tx, today)
    if shard is None:
        # Others may still be at theirs: then it is the night before.
        _night.set(rules.night_begins(await queries.find_night.one(tx)).timestamp())
        return False
    keys = await queries.next_of_shard.all(
        tx, shard.shard, shard.after_user_id, shard.after_contact_id, BATCH_CONTACTS
    )
    # The time after the wait for locks: whoever held them may have counted what was not yet before.
    await _compute(tx, keys, clock.now())
    if len(keys) < BATCH_CONTACTS:
        await queries.finish_shard.run(tx, shard.shard, today)
    else:
        await queries.advance_shard.run(tx, shard.shard, keys[-1].user_id, keys[-1].contact_id)
    return True


async def list_late(tx: Tx) -> list[LateShard]:
    """Return shards that are not through a night that should be over, the furthest behind first.

    A system transaction.
    """
    day = rules.night_over(clock.now())
    return await queries.list_late.all(tx, day, rules.night_begins(day))


async def trace(
    tx: Tx, user_id: UUID, contact_ids: Sequence[UUID], moments: Sequence[datetime]
) -> None:
    """Let health be as if it had been computed at each of these moments, oldest first, and now.

    Only what is now is told. A system transaction.
    """
    ids = [user_id] * len(contact_ids)
    before: dict[UUID, Assessment] = {}
    computed_at: datetime | None = None
    for moment in moments:
        pasts = await _pasts_after(tx, ids, contact_ids, moment, before, computed_at)
        scores = {one: item.day_score for one, item in before.items()}
        before |= {past.contact_id: rules.assess(past, moment) for past in pasts}
        computed_at = moment
        moved = [one for one, item in before.items() if scores.get(one) != item.day_score]
        await queries.write_snapshots.run(
            tx,
            rules.health_day(moment),
            [user_id] * len(moved),
            moved,
            [before[one].day_score for one in moved],
        )
    now = clock.now()
    if pasts := await _pasts_after(tx, ids, contact_ids, now, before, computed_at):
        await _write(tx, pasts, now)


async def _pasts_after(  # noqa: PLR0917  # what read_pasts takes, and what was before
    tx: Tx,
    user_ids: Sequence[UUID],
    contact_ids: Sequence[UUID],
    moment: datetime,
    before: Mapping[UUID, Assessment],
    computed_at: datetime | None,
) -> list[Past]:
    """Return the pasts of whoever had been met by then, with what was computed before."""
    pasts = await queries.read_pasts.all(tx, user_ids, contact_ids, moment)
    met = (past for past in pasts if past.last_touch_at is not None)
    return [
        replace(
            past,
            band=was and was.band,
            band_since=was and was.band_since,
            fell_at=was and was.fell_at,
            baseline=was and was.baseline,
            computed_at=was and computed_at,
        )
        for past in sorted(met, key=lambda past: past.contact_id)
        for was in [before.get(past.contact_id)]
    ]


async def forget_snapshots(tx: Tx) -> bool:
    """Drop the snapshots of months that are over for two years; a system transaction."""
    await queries.drop_snapshots.one(tx, SNAPSHOTS_MONTHS)
    return False


async def _compute(tx: Tx, keys: Sequence[Key], now: datetime) -> None:
    """Compute and write; nothing is left of relationships that no longer have a health."""
    users, ids = [key.user_id for key in keys], [key.contact_id for key in keys]
    pasts = await queries.read_pasts.all(tx, users, ids, now)
    if len(pasts) < len(keys):
        alive = {past.contact_id for past in pasts}
        gone = [key for key in keys if key.contact_id not in alive]
        await queries.forget_health.run(
            tx, [key.user_id for key in gone], [key.contact_id for key in gone]
        )
    if pasts:
        # In the order of their keys, in which everybody takes their locks.
        await _write(tx, sorted(pasts, key=lambda past: (past.user_id, past.contact_id)), now)


async def _write(tx: Tx, pasts: Sequence[Past], now: datetime) -> None:
    users, ids = [past.user_id for past in pasts], [past.contact_id for past in pasts]
    found = [rules.assess(past, now) for past in pasts]
    strengths = [round(item.strength, _CONTACT_STRENGTH_DIGITS) for item in found]
    moved = [item.day_score != past.told_day_score for past, item in zip(pasts, found, strict=True)]
    # Contacts before what hangs on them: nudges are settled with a health that is written.
    await queries.write_strengths.run(tx, users, ids, strengths, moved)
    encode = msgspec.json.encode
    await queries.write_health.run(
        tx,
        now,
        users,
        ids,
        [round(item.score, _SCORE_DIGITS) for item in found],
        [round(item.strength, _STRENGTH_DIGITS) for item in found],
        [item.band for item in found],
        [item.trend for item in found],
        [encode(item.components).decode() for item in found],
        [past.last_touch_at for past in pasts],
        [item.next_touch_at for item in found],
        [item.band_since for item in found],
        [item.fell_at for item in found],
        [item.baseline for item in found],
        [item.told_score for item in found],
        [item.day_score for item in found],
    )
    if any(moved):
        await queries.write_snapshots.run(
            tx,
            rules.health_day(now),
            list(compress(users, moved)),
            list(compress(ids, moved)),
            list(compress([item.day_score for item in found], moved)),
        )


def _shown(row: HealthRow) -> RelationshipHealth:
    components = msgspec.json.decode(row.components, type=Components)
    return RelationshipHealth(
        contact_id=row.contact_id,
        score=row.score,
        strength=row.strength,
        band=row.band,
        trend=row.trend,
        band_since=row.band_since,
        last_touch_at=row.last_touch_at,
        next_touch_at=row.next_touch_at,
        cadence_days=components.cadence_days,
        components=rules.explain(components, row.last_touch_at, row.computed_at),
        computed_at=row.computed_at,
    )
