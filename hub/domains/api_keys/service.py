"""API keys of an account, and accounts that have nothing else."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from core import api_key, clock, ids
from core.db import Tx
from core.errors import DomainError
from hub.domains.api_keys import queries
from hub.domains.api_keys.schemas import (
    AccountKey,
    ApiKey,
    ApiKeyCreated,
    ChangeApiKey,
    NewApiKey,
    ServiceAccount,
)
from hub.domains.audit import service as audit
from hub.http import page
from hub.http.scopes import Scope

KEYS_MAX: Final = 50
"""Live keys of one account: each has a rate limit of its own."""
KEYS_LISTING: Final = "api_keys"
ACCOUNTS_LISTING: Final = "service_accounts"
_LIFE_MAX: Final = timedelta(days=366 * 100)


async def create_key(tx: Tx, account: UUID, new: NewApiKey) -> ApiKeyCreated:
    """Make a key of an account; the only time that its text is known."""
    _require_future(new)
    await queries.lock_keys.run(tx, account)
    if await queries.count_keys.one(tx, account) >= KEYS_MAX:
        raise DomainError("key.limit")
    text, kept = api_key.generate()
    made = await queries.add_key.one(
        tx,
        account,
        ids.new_id(),
        new.name,
        kept.prefix,
        kept.secret_hash,
        _ordered(new.scopes),
        new.expires_at,
    )
    return msgspec.convert({**msgspec.structs.asdict(made), "key": text}, ApiKeyCreated)


def without_key(made: ApiKeyCreated) -> ApiKeyCreated:
    """Return what may be kept of the answer to a request that made a key."""
    return msgspec.structs.replace(made, key=None)


async def list_keys(tx: Tx, account: UUID, *, limit: int, cursor: str | None) -> page.Page[ApiKey]:
    """Return an account's keys that are not revoked, the newest first."""
    before = page.decode_cursor(cursor, KEYS_LISTING, tuple[UUID])
    rows = await queries.list_keys.all(tx, account, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, KEYS_LISTING, lambda key: (key.id,))


async def get_key(tx: Tx, account: UUID, key_id: UUID) -> ApiKey:
    """Return a key of an account that is not revoked, or raise key.not_found."""
    found = await queries.get_key.first(tx, account, key_id)
    if found is None:
        raise DomainError("key.not_found")
    return found


async def change_key(tx: Tx, account: UUID, key_id: UUID, change: ChangeApiKey) -> ApiKey:
    """Change what is given; of a revoked key nothing changes any more."""
    name = None if change.name is UNSET else change.name
    scopes = None if change.scopes is UNSET else _ordered(change.scopes)
    changed = await queries.change_key.first(tx, account, key_id, name, scopes)
    if changed is None:
        raise DomainError("key.not_found")
    return changed


async def revoke_key(tx: Tx, account: UUID, key_id: UUID) -> None:
    """End a key for good; again is harmless."""
    revoked = await queries.revoke_key.run(tx, account, key_id)
    if not revoked and not await queries.has_key.one(tx, account, key_id):
        raise DomainError("key.not_found")


async def create_service_account(tx: Tx, name: str) -> ServiceAccount:
    """Make an account without a login; a system transaction."""
    return await queries.add_service_account.one(tx, ids.new_id(), name)


async def list_service_accounts(
    tx: Tx, *, limit: int, cursor: str | None
) -> page.Page[ServiceAccount]:
    """Return the service accounts that are not closed, the newest first; a system transaction."""
    before = page.decode_cursor(cursor, ACCOUNTS_LISTING, tuple[UUID])
    await audit.note_reading(tx, "view", "users", "service_accounts")
    rows = await queries.list_service_accounts.all(tx, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, ACCOUNTS_LISTING, lambda account: (account.id,))


async def require_service_account(tx: Tx, account: UUID) -> None:
    """Raise unless this is a service account that is not closed; a system transaction."""
    if await queries.find_service_account.first(tx, account) is None:
        raise DomainError("account.not_found")


async def look_at_keys(tx: Tx, account: UUID) -> None:
    """Raise unless this is a service account; note that somebody looks at its keys."""
    await require_service_account(tx, account)
    await audit.note_reading(tx, "view", "api_keys", str(account), owner=account)


async def close_service_account(tx: Tx, account: UUID) -> None:
    """Close a service account and end its keys; a system transaction."""
    await require_service_account(tx, account)
    await queries.revoke_all_keys.run(tx, account)
    await queries.close_service_account.run(tx, account)


async def create_key_of(tx: Tx, account: UUID, new: NewApiKey) -> ApiKeyCreated:
    """Make a key of any account, for operators; a system transaction."""
    if not await queries.has_account.one(tx, account):
        raise DomainError("request.not_found", "There is no such account.")
    return await create_key(tx, account, new)


async def list_all_keys(
    tx: Tx, account: UUID | None, *, limit: int, before: UUID | None
) -> list[AccountKey]:
    """Return keys of one account or of all, the newest first; a system transaction."""
    await audit.note_reading(tx, "view", "api_keys", str(account or "list"), owner=account)
    return await queries.list_all_keys.all(tx, account, before, limit)


async def revoke_by_prefix(tx: Tx, prefix: str) -> UUID:
    """End the key of a prefix, for operators, and return its id; a system transaction."""
    key_id = await queries.revoke_by_prefix.first(tx, prefix)
    if key_id is None:
        raise DomainError("key.not_found", "No live key has this prefix.")
    return key_id


def _ordered(scopes: list[Scope]) -> list[Scope]:
    return sorted(set(scopes))


def _require_future(new: NewApiKey) -> None:
    if new.expires_at is None:
        return
    now = clock.now()
    if not now < new.expires_at < now + _LIFE_MAX:
        found = {"source": "body", "field": "expires_at", "message": "Not in the next 100 years"}
        raise DomainError("request.invalid", errors=[found])
