"""Ways to somebody over at most six hops, found once an hour and kept where the user wants it."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from core.db import Conflict, Tx
from core.errors import DomainError
from hub.domains.paths import queries, rules
from hub.domains.paths.schemas import (
    PATHS_MAX,
    ChangePath,
    FindPath,
    Hop,
    KeepPath,
    Path,
    PathFound,
    PathStatus,
    Step,
    StoredPath,
    StoredStep,
)
from hub.http import page

PATHS_LISTING: Final = "paths"
PURGED_AT_ONCE: Final = 5000
_HOPS: Final = msgspec.json.Decoder(list[Hop])


async def find_path(tx: Tx, asked: FindPath) -> PathFound:
    """Return the shortest way to a target, from a search of the last hour if it still holds."""
    hops, cached = await _search(tx, asked)
    steps = await _named(tx, hops)
    return PathFound(
        found=bool(steps),
        length=len(steps),
        confidence=rules.confidence([step.strength for step in steps]),
        steps=steps,
        explanation=rules.explain(steps),
        cached=cached,
    )


async def keep_path(tx: Tx, asked: KeepPath) -> Path:
    """Find a way and keep it."""
    if await queries.count_paths.one(tx) >= PATHS_MAX:
        raise DomainError("path.limit")
    hops, _ = await _search(tx, asked)
    if not hops:
        raise DomainError("path.none")
    try:
        path_id = await queries.add_path.one(
            tx,
            asked.goal_id,
            asked.target_contact_id,
            asked.target_name,
            asked.target_company,
            asked.target_role,
            len(hops),
            rules.confidence([hop.strength for hop in hops]),
        )
    except Conflict:  # the goal is nobody's or somebody else's
        raise DomainError("goal.not_found") from None
    await queries.add_steps.run(
        tx,
        path_id,
        [hop.position for hop in hops],
        [hop.contact_id for hop in hops],
        [hop.person_id for hop in hops],
        [hop.strength for hop in hops],
    )
    return await get_path(tx, path_id)


async def list_paths(
    tx: Tx, *, status: PathStatus | None, goal_id: UUID | None, limit: int, cursor: str | None
) -> page.Page[Path]:
    """Return the actor's kept paths, the newest first."""
    before = page.decode_cursor(cursor, PATHS_LISTING, tuple[UUID])
    rows = await queries.list_paths.all(
        tx, before[0] if before else None, status, goal_id, limit + 1
    )
    return page.paginate(await _shown(tx, rows), limit, PATHS_LISTING, lambda path: (path.id,))


async def get_path(tx: Tx, path_id: UUID) -> Path:
    """Return one of the actor's kept paths."""
    stored = await queries.find_path.first(tx, path_id)
    if stored is None:
        raise DomainError("path.not_found")
    [path] = await _shown(tx, [stored])
    return path


async def change_path(tx: Tx, path_id: UUID, change: ChangePath) -> Path:
    """Say how far one has come with a path, or for which goal it is."""
    path = await get_path(tx, path_id)
    status = None if change.status is UNSET else change.status
    goal_id = path.goal_id if change.goal_id is UNSET else change.goal_id
    try:
        await queries.change_path.run(tx, path_id, status, goal_id)
    except Conflict:
        raise DomainError("goal.not_found") from None
    return await get_path(tx, path_id)


async def remove_path(tx: Tx, path_id: UUID) -> None:
    """Keep a path no longer."""
    if not await queries.remove_path.run(tx, path_id):
        raise DomainError("path.not_found")


async def forget_person(tx: Tx, user_id: UUID) -> None:
    """Take who withdrew their consent out of all kept paths. A system transaction."""
    await queries.forget_person.run(tx, user_id)


async def purge(tx: Tx) -> bool:
    """Forget old searches and changes; says whether some are left. A system transaction."""
    searches = await queries.purge_searches.run(tx, PURGED_AT_ONCE)
    changes = await queries.purge_changes.run(tx, PURGED_AT_ONCE)
    return PURGED_AT_ONCE in (searches, changes)


async def _search(tx: Tx, asked: FindPath) -> tuple[list[Hop], bool]:
    given = (
        asked.target_contact_id,
        asked.target_name,
        asked.target_company,
        asked.target_role,
    )
    if all(value is None for value in given):
        raise DomainError("path.target_missing")
    targets = await queries.find_targets.all(tx, *given)
    if not targets and asked.target_name is not None:
        targets = await queries.find_targets_by_part.all(tx, *given)
    if not targets:
        raise DomainError("path.target_unknown")
    key = rules.search_key(targets, asked.hops_max)
    kept = await queries.read_search.first(tx, key)
    if kept is not None:
        return _HOPS.decode(kept), True
    await queries.forget_search.run(tx, key)
    return _HOPS.decode(await queries.search.one(tx, key, targets, asked.hops_max)), False


async def _shown(tx: Tx, rows: Sequence[StoredPath]) -> list[Path]:
    stored = await queries.list_steps.all(tx, [row.id for row in rows])
    named = dict(zip(_places(stored), await _named(tx, map(_hop, stored)), strict=True))
    paths: list[Path] = []
    for row in rows:
        steps = [step for (path_id, _), step in named.items() if path_id == row.id]
        paths.append(
            Path(**msgspec.structs.asdict(row), steps=steps, explanation=rules.explain(steps))
        )
    return paths


async def _named(tx: Tx, hops: Iterable[Hop]) -> list[Step]:
    listed = list(hops)
    contact_ids = [hop.contact_id for hop in listed if hop.contact_id is not None]
    person_ids = [hop.person_id for hop in listed if hop.person_id is not None]
    contacts = await queries.name_contacts.all(tx, contact_ids) if contact_ids else []
    people = await queries.name_people.all(tx, person_ids) if person_ids else []
    by_contact = {row.id: row.name for row in contacts}
    by_person = {row.id: row.name for row in people}
    return [rules.named(hop, by_contact, by_person) for hop in listed]


def _places(steps: Sequence[StoredStep]) -> list[tuple[UUID, int]]:
    return [(step.path_id, step.position) for step in steps]


def _hop(step: StoredStep) -> Hop:
    return Hop(step.position, step.contact_id, step.person_id, step.strength)
