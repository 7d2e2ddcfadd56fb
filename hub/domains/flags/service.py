"""Feature flags: for whom something is already there, and who decides that.

Other slices ask `await flags.is_on(tx, "new-cards", user_id)`. What the flags say is believed for
half a second by a process, so a change holds everywhere within a second without anybody being
told, with Redis or without.
"""

from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from msgspec import UNSET, Struct

from core import clock
from core.db import Pool, Tx
from core.errors import DomainError
from hub.domains.audit import service as audit
from hub.domains.flags import queries, rules
from hub.domains.flags.schemas import (
    COHORTS_MAX,
    FLAGS_MAX,
    ChangeFlag,
    Cohort,
    CohortMember,
    Flag,
    OwnFlags,
    PutCohort,
    PutFlag,
    Rule,
    Subject,
)
from hub.http import page

BELIEVED_SECONDS: Final = 0.5
FLAGS_LISTING: Final = "flags"
COHORTS_LISTING: Final = "cohorts"
MEMBERS_LISTING: Final = "cohort_members"
_NOBODY: Final = Subject(role="user", tier="free", cohorts=[])


class _Kept(Struct, frozen=True):
    rules: dict[str, Rule]
    asked_at_seconds: float


# By the pool, since what was read is true of one database.
_kept: Final[WeakKeyDictionary[Pool, _Kept]] = WeakKeyDictionary()


async def is_on(tx: Tx, key: str, user_id: UUID) -> bool:
    """Say whether a flag is on for a user; a flag that does not exist is off.

    In a user's own transaction `user_id` is that user. The database is asked about the user only
    where a cohort can make the difference.
    """
    _require_own(tx, user_id)
    rule = (await _rules(tx)).get(key)
    if rule is None or not rule.enabled:
        return False
    if rules.is_rolled_out(rule, user_id):
        return True
    return bool(rule.cohorts) and rules.is_in_cohort(rule, await _subject(tx, user_id))


async def list_on(tx: Tx, user_id: UUID) -> OwnFlags:
    """Return all flags that are on for a user."""
    _require_own(tx, user_id)
    subject = await _subject(tx, user_id)
    found = (await _rules(tx)).values()
    return OwnFlags(
        on=[
            rule.key
            for rule in found
            if rules.is_rolled_out(rule, user_id) or rules.is_in_cohort(rule, subject)
        ]
    )


async def list_flags(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Flag]:
    """Return the flags by their keys; a system transaction."""
    after = page.decode_cursor(cursor, FLAGS_LISTING, tuple[str])
    rows = await queries.list_flags.all(tx, after[0] if after else None, limit + 1)
    return page.paginate(rows, limit, FLAGS_LISTING, lambda flag: (flag.key,))


async def get_flag(tx: Tx, key: str) -> Flag:
    """Return a flag; a system transaction."""
    flag = await queries.find_flag.first(tx, key)
    if flag is None:
        raise DomainError("flag.not_found")
    return flag


async def put_flag(tx: Tx, key: str, new: PutFlag) -> Flag:
    """Make a flag, or replace what it says; a system transaction."""
    await queries.lock_flags.run(tx)
    is_new = await queries.find_flag.first(tx, key) is None
    if is_new and await queries.count_flags.one(tx) >= FLAGS_MAX:
        raise DomainError("flag.limit")
    cohorts = sorted(set(new.cohorts))
    unknown = await queries.find_unknown_cohort.first(tx, cohorts)
    if unknown is not None:
        raise DomainError("cohort.not_found", f"There is no cohort `{unknown}`.")
    await queries.put_flag.run(tx, key, new.enabled, new.percentage, cohorts, new.description)
    return await get_flag(tx, key)


async def change_flag(tx: Tx, key: str, change: ChangeFlag) -> Flag:
    """Change what is given; a system transaction."""
    # Before it is read, so that of two changes none undoes the other.
    await queries.lock_flags.run(tx)
    flag = await get_flag(tx, key)
    return await put_flag(tx, key, _changed(flag, change))


async def set_flag(tx: Tx, key: str, change: ChangeFlag) -> Flag:
    """Change what is given, of a flag that need not exist: it begins off; a system transaction."""
    await queries.lock_flags.run(tx)
    if await queries.find_flag.first(tx, key) is None:
        await put_flag(tx, key, PutFlag(enabled=False))
    return await change_flag(tx, key, change)


async def remove_flag(tx: Tx, key: str) -> None:
    """Remove a flag, which turns it off for everybody; a system transaction."""
    if not await queries.remove_flag.run(tx, key):
        raise DomainError("flag.not_found")


async def list_cohorts(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Cohort]:
    """Return the cohorts by their names; a system transaction."""
    after = page.decode_cursor(cursor, COHORTS_LISTING, tuple[str])
    rows = await queries.list_cohorts.all(tx, after[0] if after else None, limit + 1)
    return page.paginate(rows, limit, COHORTS_LISTING, lambda cohort: (cohort.name,))


async def get_cohort(tx: Tx, name: str) -> Cohort:
    """Return a cohort; a system transaction."""
    cohort = await queries.find_cohort.first(tx, name)
    if cohort is None:
        raise DomainError("cohort.not_found")
    return cohort


async def put_cohort(tx: Tx, name: str, new: PutCohort) -> Cohort:
    """Make a cohort, or replace what it says; members stay. A system transaction."""
    await queries.lock_flags.run(tx)
    is_new = await queries.find_cohort.first(tx, name) is None
    if is_new and await queries.count_cohorts.one(tx) >= COHORTS_MAX:
        raise DomainError("cohort.limit")
    tiers, roles = sorted(set(new.tiers)), sorted(set(new.roles))
    await queries.put_cohort.run(tx, name, tiers, roles, new.description)
    return await get_cohort(tx, name)


async def remove_cohort(tx: Tx, name: str) -> None:
    """Remove a cohort that no flag names; a system transaction."""
    await queries.lock_flags.run(tx)
    user = await queries.find_flag_of_cohort.first(tx, name)
    if user is not None:
        raise DomainError("cohort.in_use", f"The flag `{user}` names it.")
    if not await queries.remove_cohort.run(tx, name):
        raise DomainError("cohort.not_found")


async def list_members(
    tx: Tx, name: str, *, limit: int, cursor: str | None
) -> page.Page[CohortMember]:
    """Return the named members of a cohort; a system transaction."""
    await get_cohort(tx, name)
    await audit.note_reading(tx, "view", "cohort_members", name)
    after = page.decode_cursor(cursor, MEMBERS_LISTING, tuple[UUID])
    rows = await queries.list_members.all(tx, name, after[0] if after else None, limit + 1)
    return page.paginate(rows, limit, MEMBERS_LISTING, lambda member: (member.user_id,))


async def add_member(tx: Tx, name: str, user_id: UUID) -> None:
    """Put a user into a cohort; again is harmless. A system transaction."""
    # So that the cohort is not removed meanwhile.
    await queries.lock_flags.run(tx)
    await get_cohort(tx, name)
    if not await queries.has_account.one(tx, user_id):
        raise DomainError("request.not_found", "There is no such account.")
    await queries.add_member.run(tx, name, user_id)


async def remove_member(tx: Tx, name: str, user_id: UUID) -> None:
    """Take a user out of a cohort; again is harmless. A system transaction."""
    await get_cohort(tx, name)
    await queries.remove_member.run(tx, name, user_id)


async def _rules(tx: Tx) -> dict[str, Rule]:
    found = _kept.get(tx.pool)
    if found is not None and clock.monotonic_seconds() - found.asked_at_seconds < BELIEVED_SECONDS:
        return found.rules
    # Counted from before the question: what changes meanwhile is not missed for longer.
    asked_at_seconds = clock.monotonic_seconds()
    read = {rule.key: rule for rule in await queries.read_rules.all(tx)}
    _kept[tx.pool] = _Kept(read, asked_at_seconds)
    return read


async def _subject(tx: Tx, user_id: UUID) -> Subject:
    return await queries.find_subject.first(tx, user_id) or _NOBODY


def _require_own(tx: Tx, user_id: UUID) -> None:
    # The policies would show nothing of anybody else, and the answer would be wrong.
    if tx.actor.kind != "system" and tx.actor.user_id != user_id:
        raise ValueError("a user's transaction knows the flags of that user")


def _changed(flag: Flag, change: ChangeFlag) -> PutFlag:
    return PutFlag(
        enabled=flag.enabled if change.enabled is UNSET else change.enabled,
        percentage=flag.percentage if change.percentage is UNSET else change.percentage,
        cohorts=flag.cohorts if change.cohorts is UNSET else change.cohorts,
        description=flag.description if change.description is UNSET else change.description,
    )
