"""Sign-in sessions and one's own account."""

import base64
import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct

from core import clock, ids, normal_forms
from core.actor import Role
from core.crypto import FieldCipher, blind_index, token_hash
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import queries
from hub.domains.accounts.schemas import (
    Account,
    ChangeMe,
    KnownAccount,
    Me,
    PickableUser,
    RevokedBecause,
    SignedIn,
    SignInSession,
    StoredSession,
    SubscriptionStatus,
    SubscriptionTier,
)
from hub.domains.audit import service as audit
from hub.domains.profiles import service as profiles
from hub.http import page, recency
from hub.http.tokens import TokenKeys

USERS_LISTING = "users"
SESSIONS_LISTING = "sessions"
EMAIL_COLUMN = "users.email"
# A repeated request after a lost answer comes within seconds; a copy of the token has no longer.
GRACE_SECONDS: Final = 10.0
ANEW: Final = ("auth.token_invalid", "auth.other_account", recency.CODE)
"""What `enter` refuses, where it is given a refresh token."""
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)


class OpenedSession(Struct, frozen=True):
    """A fresh refresh token and whose it is; the token itself is stored nowhere."""

    refresh_token: str
    family_id: UUID
    account: Account
    authenticated_at: int
    """When the person last proved who they are, in Unix seconds."""


class EndedSession(Struct, frozen=True):
    """A sign-in session that a refresh token has just ended, or had ended before."""

    family_id: UUID


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
    await queries.lock_address.run(tx, email_hash)
    known = await queries.find_user_by_email.first(tx, cipher.indexes.live(email_hash))
    if known is not None:
        return known
    stored = cipher.indexes.written(email_hash)
    return await queries.add_user.one(tx, user_id, full_name, sealed, stored, timezone)


async def create_user(
    tx: Tx,
    *,
    full_name: str,
    email: str | None,
    email_hash: bytes | None,
    locale: str | None,
    cipher: FieldCipher,
    user_id: UUID | None = None,
) -> UUID | None:
    """Make a user; None when somebody has the address. A system transaction.

    Without `email_hash` the address is kept for writing to, and proves nothing. `user_id`: the id
    that was promised already, else a new one.
    """
    user_id = user_id or ids.new_id()
    sealed = email and cipher.seal(email.encode(), column=EMAIL_COLUMN, row=user_id.bytes)
    stored = None
    if email_hash is not None:
        await queries.lock_address.run(tx, email_hash)
        live = cipher.indexes.live(email_hash)
        if await queries.find_user_by_email.first(tx, live) is not None:
            return None
        stored = live[0]
    return await queries.create_user.one(tx, user_id, full_name, sealed, stored, locale)


def email_index(index_key: bytes, email: str) -> bytes:
    """Return what an address is found by, however it is written."""
    return blind_index(index_key, "email", normal_forms.vouched_email(email))


async def open_session(
    tx: Tx, *, lifetime_seconds: int, authenticated_at: int | None = None
) -> OpenedSession:
    """Start a family of refresh tokens for the actor, who must exist.

    `authenticated_at`: Unix seconds; None: the person proved just now who they are.
    """
    await queries.note_login.run(tx)
    account = await queries.find_me.first(tx)
    if account is None:
        raise DomainError("request.not_found", "There is no such user.")
    refresh_token, family_id = ids.new_token(), ids.new_id()
    shown_at = clock.unix_seconds() if authenticated_at is None else authenticated_at
    await queries.insert_session.run(
        tx,
        family_id,
        token_hash(refresh_token),
        tx.actor.user_agent,
        tx.actor.ip,
        lifetime_seconds,
        shown_at,
    )
    return OpenedSession(refresh_token, family_id, account, shown_at)


async def find_session(tx: Tx, refresh_token: str) -> StoredSession:
    """Return the session of a refresh token whatever its state, or raise."""
    session = await queries.find_session.first(tx, token_hash(refresh_token))
    if session is None:
        raise DomainError("auth.token_invalid")
    return session


async def enter(
    tx: Tx,
    refresh_token: str | None,
    *,
    lifetime_seconds: int,
    key: bytes,
    authenticated_at: int | None = None,
) -> OpenedSession | EndedSession:
    """Sign the actor in, who has proved who they are: anew, or to the session of a refresh token.

    Raises where that session is another account's, or the proof is not recent. EndedSession as
    `rotate_session` returns it.
    """
    if refresh_token is None:
        return await open_session(
            tx, lifetime_seconds=lifetime_seconds, authenticated_at=authenticated_at
        )
    shown_at = clock.unix_seconds() if authenticated_at is None else authenticated_at
    # A provider that did not ask anew has shown nothing that the session does not say already.
    recency.require_recent(shown_at)
    session = await find_session(tx, refresh_token)
    if session.user_id != tx.actor.user_id:
        raise DomainError("auth.other_account")
    return await rotate_session(
        tx,
        session,
        refresh_token,
        lifetime_seconds=lifetime_seconds,
        key=key,
        authenticated_at=shown_at,
    )


async def rotate_session(
    tx: Tx,
    session: StoredSession,
    refresh_token: str,
    *,
    lifetime_seconds: int,
    key: bytes,
    authenticated_at: int | None = None,
) -> OpenedSession | EndedSession:
    """Exchange the actor's refresh token for its successor; soon again, for the same one.

    EndedSession when it has expired, or when it was exchanged before and is not the parent of the
    newest one or not a moment ago: somebody else may hold a copy, so the sign-in session has ended.
    The caller commits, then refuses.

    With `authenticated_at` (Unix seconds) the person has proved anew who they are. Nobody who holds
    a copy shall have a part in that: the successor is not derived from the token, so there is no
    grace for a repetition, and a token that has a successor already is refused.
    """
    await queries.lock_sessions.run(tx)
    account = await queries.find_me.first(tx)
    if account is None:
        await queries.revoke_family.all(tx, session.family_id, "removed")
        return EndedSession(session.family_id)
    if await queries.exchange_token.first(tx, session.id) is not None:
        successor_id = ids.new_id()
        token = (
            _successor_token(key, successor_id, refresh_token)
            if authenticated_at is None
            else ids.new_token()
        )
        shown_at = await queries.insert_successor.one(
            tx,
            session.id,
            successor_id,
            token_hash(token),
            tx.actor.user_agent,
            tx.actor.ip,
            lifetime_seconds,
            authenticated_at,
        )
        return OpenedSession(token, session.family_id, account, shown_at)
    successor = await queries.find_fresh_successor.first(tx, session.id, GRACE_SECONDS)
    if successor is not None:
        token = _successor_token(key, successor.id, refresh_token)
        stored = await queries.find_session.first(tx, token_hash(token))
        if stored is not None and stored.id == successor.id:
            if authenticated_at is not None:
                raise DomainError("auth.token_invalid", "Use its successor, then sign in anew.")
            return OpenedSession(token, session.family_id, account, successor.authenticated_at)
    reason: RevokedBecause = "expired" if session.revoked_at is None else "reused"
    ended = await queries.revoke_family.all(tx, session.family_id, reason)
    if ended and reason == "reused":
        await queries.note_reuse.run(tx, session.id)
    return EndedSession(session.family_id)


async def list_sessions(
    tx: Tx, current_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[SignInSession]:
    """Return a page of the actor's live sign-in sessions, the newest sign-in first."""
    before = page.decode_cursor(cursor, SESSIONS_LISTING, tuple[UUID])
    rows = await queries.list_sessions.all(
        tx, current_id, before[0] if before else _LAST_ID, limit + 1
    )
    return page.paginate(rows, limit, SESSIONS_LISTING, lambda session: (session.id,))


async def get_session(tx: Tx, current_id: UUID, session_id: UUID) -> SignInSession:
    """Return one of the actor's live sign-in sessions, or raise session.not_found."""
    found = await queries.get_session.first(tx, current_id, session_id)
    if found is None:
        raise DomainError("session.not_found")
    return found


async def name_session(
    tx: Tx, current_id: UUID, session_id: UUID, device_name: str | None
) -> SignInSession:
    """Name one of the actor's sign-in sessions, or raise session.not_found."""
    await queries.lock_sessions.run(tx)
    named = await queries.name_session.first(tx, current_id, session_id, device_name)
    if named is None:
        raise DomainError("session.not_found")
    return named


async def close_session(tx: Tx, family_id: UUID) -> None:
    """End the actor's sign-in session; again is harmless."""
    await queries.lock_sessions.run(tx)
    await queries.revoke_family.all(tx, family_id, "signed_out")


async def remove_session(tx: Tx, family_id: UUID) -> None:
    """End one of the actor's sign-in sessions from another one, or raise session.not_found."""
    await queries.lock_sessions.run(tx)
    if not await queries.revoke_family.all(tx, family_id, "removed"):
        raise DomainError("session.not_found")


async def remove_other_sessions(tx: Tx, current_id: UUID) -> list[UUID]:
    """End all of the actor's sign-in sessions but one; return those that lived."""
    await queries.lock_sessions.run(tx)
    return await queries.revoke_other_families.all(tx, current_id)


async def sessions_revoked_within(tx: Tx, *, seconds: float) -> list[UUID]:
    """Return the sign-in sessions of all users that ended lately; a system transaction."""
    return await queries.sessions_revoked_within.all(tx, seconds)


def signed_in(
    entered: OpenedSession | EndedSession, keys: TokenKeys, end: Callable[[str], None]
) -> SignedIn:
    """Return the tokens of a session that was opened or exchanged; the caller has committed.

    Of one that has ended `end` is told, and auth.token_invalid is raised.
    """
    if isinstance(entered, EndedSession):
        end(str(entered.family_id))
        raise DomainError("auth.token_invalid")
    account = entered.account
    return SignedIn(
        access_token=keys.issue(
            account.id, entered.family_id, account.role, authenticated_at=entered.authenticated_at
        ),
        expires_in=keys.lifetime_seconds,
        refresh_token=entered.refresh_token,
        user=account,
    )


async def get_account(tx: Tx) -> Account:
    """Return the actor's account without what is sealed."""
    account = await queries.find_me.first(tx)
    if account is None:
        raise DomainError("auth.token_invalid", "The account of this token is gone.")
    return account


async def get_me(tx: Tx, cipher: FieldCipher) -> Me:
    """Return the actor's account with its profile and opened e-mail address."""
    account = await get_account(tx)
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
        subscription_tier=account.subscription_tier,
        subscription_status=account.subscription_status,
        onboarding_completed_at=account.onboarding_completed_at,
        last_login_at=account.last_login_at,
        created_at=account.created_at,
        profile=await profiles.get_own(tx),
    )


async def change_me(tx: Tx, change: ChangeMe, cipher: FieldCipher) -> Me:
    """Change what is given and return the whole."""
    if change.timezone is not UNSET and not is_time_zone(change.timezone):
        found = {"source": "body", "field": "timezone", "message": "Not an IANA time zone"}
        raise DomainError("request.invalid", errors=[found])
    given = [
        None if value is UNSET else value
        for value in (
            change.full_name,
            change.timezone,
            change.locale,
            change.onboarding_completed,
        )
    ]
    if any(value is not None for value in given):
        await queries.change_me.run(tx, *given)
    await profiles.change_own(tx, display_name=change.display_name, bio=change.bio)
    return await get_me(tx, cipher)


async def find_accounts(
    tx: Tx, *, name: str, role: Role | None, after: UUID | None, limit: int
) -> list[KnownAccount]:
    """Return accounts of people with this in their name, for operators; a system transaction."""
    await audit.note_reading(tx, "view", "users", "list", details={"name": name, "role": role})
    return await queries.find_accounts.all(tx, name, role, after, limit)


async def set_role(tx: Tx, user_id: UUID, role: Role) -> KnownAccount:
    """Give a person another role, which ends their sign-in sessions; a system transaction."""
    return _known(await queries.set_role.first(tx, user_id, role))


async def set_subscription(
    tx: Tx, user_id: UUID, tier: SubscriptionTier, status: SubscriptionStatus
) -> KnownAccount:
    """Say what a person pays for; a system transaction."""
    return _known(await queries.set_subscription.first(tx, user_id, tier, status))


def _known(account: KnownAccount | None) -> KnownAccount:
    if account is None:
        raise DomainError("request.not_found", "There is no such person.")
    return account


def _successor_token(key: bytes, row_id: UUID, refresh_token: str) -> str:
    """Return what a refresh token is exchanged for: found again only by who has both.

    So a lost answer can be repeated, though the database knows nothing but hashes.
    """
    derived = blind_index(key, "refresh_token", f"{row_id}:{refresh_token}")
    return base64.urlsafe_b64encode(derived).rstrip(b"=").decode()


def is_time_zone(name: str) -> bool:
    """Say whether this is the IANA name of a time zone."""
    return name in _time_zones()


@cache
def _time_zones() -> set[str]:
    # Read from the disk, some hundred files; "localtime" is whatever this machine's clock shows.
    return zoneinfo.available_timezones() - {"localtime"}
