"""Sign-in sessions and one's own account."""

import zoneinfo
from functools import cache
from uuid import UUID

from msgspec import UNSET, Struct

from core import ids
from core.crypto import FieldCipher, blind_index, token_hash
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import queries
from hub.domains.accounts.schemas import (
    Account,
    ChangeMe,
    Me,
    PickableUser,
    SignedIn,
    StoredSession,
)
from hub.domains.profiles import service as profiles
from hub.http import page
from hub.http.tokens import TokenKeys

USERS_LISTING = "users"
EMAIL_COLUMN = "users.email"
_FIRST_ID = UUID(int=0)


class OpenedSession(Struct, frozen=True):
    """A fresh refresh token and whose it is; the token itself is stored nowhere."""

    refresh_token: str
    family_id: UUID
    account: Account


async def list_users(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[PickableUser]:
    """Return the users to pick from; needs a system transaction."""
    after = page.decode_cursor(cursor, USERS_LISTING, tuple[UUID])
    rows = await queries.list_users.all(tx, after[0] if after else _FIRST_ID, limit + 1)
    return page.paginate(rows, limit, USERS_LISTING, lambda user: (user.id,))


async def add_user(
    tx: Tx, *, full_name: str, email: str, timezone: str, cipher: FieldCipher, index_key: bytes
) -> UUID:
    """Return the user with this e-mail address, new if there was none; a system transaction."""
    user_id = ids.new_id()
    sealed = cipher.seal(email.encode(), column=EMAIL_COLUMN, row=user_id.bytes)
    email_hash = email_index(index_key, email)
    await queries.add_user.run(tx, user_id, full_name, sealed, email_hash, timezone)
    return await queries.find_user_by_email.one(tx, email_hash)


async def create_user(
    tx: Tx,
    *,
    full_name: str,
    email: str | None,
    email_hash: bytes | None,
    locale: str | None,
    cipher: FieldCipher,
) -> UUID | None:
    """Make a user; None when somebody has the address. A system transaction.

    Without `email_hash` the address is kept for writing to, and proves nothing.
    """
    user_id = ids.new_id()
    sealed = email and cipher.seal(email.encode(), column=EMAIL_COLUMN, row=user_id.bytes)
    return await queries.create_user.first(tx, user_id, full_name, sealed, email_hash, locale)


def email_index(index_key: bytes, email: str) -> bytes:
    """Return what an address is found by, however it is written."""
    return blind_index(index_key, "email", email.strip().lower())


async def open_session(tx: Tx, *, lifetime_seconds: int) -> OpenedSession:
    """Start a family of refresh tokens for the actor, who must exist."""
    account = await queries.find_me.first(tx)
    if account is None:
        raise DomainError("request.not_found", "There is no such user.")
    await queries.note_login.run(tx)
    return await _add_session(tx, ids.new_id(), account, lifetime_seconds)


async def find_session(tx: Tx, refresh_token: str) -> StoredSession:
    """Return the session of a refresh token whatever its state, or raise."""
    session = await queries.find_session.first(tx, token_hash(refresh_token))
    if session is None:
        raise DomainError("auth.token_invalid")
    return session


async def rotate_session(
    tx: Tx, session: StoredSession, *, lifetime_seconds: int
) -> OpenedSession | None:
    """Exchange the actor's session for its successor.

    None when the token was used before or has expired: somebody else may hold a copy, so the whole
    family is revoked. The caller commits, then refuses.
    """
    await queries.lock_family.run(tx, session.family_id)
    if await queries.revoke_session.first(tx, session.id) is None:
        await queries.revoke_family.run(tx, session.family_id)
        return None
    account = await queries.find_me.first(tx)
    if account is None:
        await queries.revoke_family.run(tx, session.family_id)
        return None
    return await _add_session(tx, session.family_id, account, lifetime_seconds)


async def close_session(tx: Tx, family_id: UUID) -> None:
    """End the actor's sign-in session; again is harmless."""
    await queries.lock_family.run(tx, family_id)
    await queries.revoke_family.run(tx, family_id)


async def sessions_revoked_within(tx: Tx, *, seconds: float) -> list[UUID]:
    """Return the sign-in sessions of all users that ended lately; a system transaction."""
    return await queries.sessions_revoked_within.all(tx, seconds)


def signed_in(opened: OpenedSession, keys: TokenKeys) -> SignedIn:
    """Return the tokens of a session that was opened or exchanged."""
    account = opened.account
    return SignedIn(
        access_token=keys.issue(account.id, opened.family_id, account.role),
        expires_in=keys.lifetime_seconds,
        refresh_token=opened.refresh_token,
        user=account,
    )


async def get_me(tx: Tx, cipher: FieldCipher) -> Me:
    """Return the actor's account with its profile and opened e-mail address."""
    account = await queries.find_me.first(tx)
    if account is None:
        raise DomainError("auth.token_invalid", "The account of this token is gone.")
    sealed = await queries.find_my_email.one(tx)
    email = None
    if sealed.email is not None:
        email = cipher.open(sealed.email, column=EMAIL_COLUMN, row=account.id.bytes).decode()
    return Me(
        id=account.id,
        full_name=account.full_name,
        email=email,
        timezone=account.timezone,
        locale=account.locale,
        role=account.role,
        created_at=account.created_at,
        profile=await profiles.get_own(tx),
    )


async def change_me(tx: Tx, change: ChangeMe, cipher: FieldCipher) -> Me:
    """Change what is given and return the whole."""
    if change.timezone is not UNSET and not _is_time_zone(change.timezone):
        found = {"source": "body", "field": "timezone", "message": "Not an IANA time zone"}
        raise DomainError("request.invalid", errors=[found])
    given = [
        None if value is UNSET else value
        for value in (change.full_name, change.timezone, change.locale)
    ]
    if any(value is not None for value in given):
        await queries.change_me.run(tx, *given)
    await profiles.change_own(tx, display_name=change.display_name, bio=change.bio)
    return await get_me(tx, cipher)


async def _add_session(
    tx: Tx, family_id: UUID, account: Account, lifetime_seconds: int
) -> OpenedSession:
    refresh_token = ids.new_token()
    await queries.insert_session.run(
        tx,
        family_id,
        token_hash(refresh_token),
        tx.actor.user_agent,
        tx.actor.ip,
        lifetime_seconds,
    )
    return OpenedSession(refresh_token, family_id, account)


def _is_time_zone(name: str) -> bool:
    return name in _time_zones()


@cache
def _time_zones() -> set[str]:
    # Read from the disk, some hundred files; "localtime" is whatever this machine's clock shows.
    return zoneinfo.available_timezones() - {"localtime"}
