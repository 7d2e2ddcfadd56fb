"""What people let their data be used for, and the question that every use asks first."""

from uuid import UUID

from core.db import Tx
from core.errors import DomainError
from hub.domains.consents import queries, rules
from hub.domains.consents.schemas import Consent, Decide, Decision, Purpose, StoredConsent
from hub.http import page

HISTORY_LISTING = "consent_history"


async def allows(tx: Tx, user_id: UUID, purpose: Purpose) -> bool:
    """Say whether a user lets their data be used for a purpose, as of now; ask before each use.

    A user's own transaction knows of no other's consent and answers no; a system transaction knows
    all. SQL that uses data asks `app.allows`, or `app.hold_consents` where it writes.
    """
    return await queries.allows.one(tx, user_id, purpose)


async def require(tx: Tx, user_id: UUID, purpose: Purpose) -> None:
    """Raise consent.missing unless a user lets their data be used for a purpose."""
    if not await allows(tx, user_id, purpose):
        raise DomainError("consent.missing", f"This needs the consent `{purpose}`.")


async def list_own(tx: Tx) -> list[Consent]:
    """Return all purposes with what the actor has said about each."""
    said = {stored.purpose: stored for stored in await queries.list_own.all(tx)}
    return [_shown(purpose, said.get(purpose)) for purpose in rules.TEXTS]


async def get_own(tx: Tx, purpose: Purpose) -> Consent:
    """Return one purpose with what the actor has said about it."""
    said = {stored.purpose: stored for stored in await queries.list_own.all(tx)}
    return _shown(purpose, said.get(purpose))


async def decide(tx: Tx, purpose: Purpose, decision: Decide) -> Consent:
    """Grant or withdraw; holds for every use from the commit on. Again changes nothing."""
    current = rules.current_version(purpose)
    if decision.granted and decision.text_version != current:
        raise DomainError("consent.text_outdated")
    stored = await queries.decide.first(
        tx, purpose, decision.granted, decision.text_version or current, decision.source
    )
    return await get_own(tx, purpose) if stored is None else _shown(purpose, stored)


async def list_history(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Decision]:
    """Return the actor's decisions, the latest first."""
    before = page.decode_cursor(cursor, HISTORY_LISTING, tuple[UUID])
    rows = await queries.list_history.all(tx, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, HISTORY_LISTING, lambda decision: (decision.id,))


def _shown(purpose: Purpose, said: StoredConsent | None) -> Consent:
    return Consent(
        purpose=purpose,
        text=rules.TEXTS[purpose][-1],
        current_version=rules.current_version(purpose),
        granted=said is not None and said.granted,
        text_version=None if said is None else said.text_version,
        source=None if said is None else said.source,
        granted_at=None if said is None else said.granted_at,
        withdrawn_at=None if said is None else said.withdrawn_at,
    )
