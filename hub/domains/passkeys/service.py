"""Passkeys: accounts that the hub itself can tell apart, without any provider.

A passkey is a login of the account (issuer: the domain, subject: the hash of the credential's id)
with a public key beside it, so that what holds for logins holds for passkeys: how many there may
be, that the last one stays, who sees them.
"""

import base64
import hashlib
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from core import log
from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import service as accounts
from hub.domains.logins import service as logins
from hub.domains.logins.schemas import Proof
from hub.domains.passkeys import queries, rules
from hub.domains.passkeys.schemas import (
    Descriptor,
    MadeCredential,
    Newcomer,
    NewPasskey,
    Passkey,
    SignedCredential,
)
from hub.http import page
from hub.http.origins import RelyingParty

PROVIDER: Final = "passkey"
PASSKEYS_LISTING: Final = "passkeys"
_FIRST_ID: Final = UUID(int=0)
_REFUSED = Counter("pinghub_refused_passkey", "Passkeys refused.", ["reason"])


def refused(reason: str, code: str) -> DomainError:
    """Count a refusal and return it; callers are not told the reason."""
    _REFUSED.labels(reason).inc()
    return DomainError(code)


def verify_made(given: MadeCredential, challenge: str, party: RelyingParty) -> NewPasskey:
    """Return a passkey that was made for this challenge and party, or raise passkey.invalid."""
    made = rules.verify_made(given, challenge, party)
    if made is None:
        raise refused("not_made_here", "passkey.invalid")
    return made


async def sign_up(
    tx: Tx,
    newcomer: Newcomer,
    made: NewPasskey,
    *,
    name: str | None,
    party: RelyingParty,
    cipher: FieldCipher,
) -> None:
    """Make an account with a passkey as its only login; a system transaction."""
    await accounts.create_user(
        tx,
        user_id=newcomer.user_id,
        full_name=newcomer.full_name,
        email=None,
        email_hash=None,
        locale=None,
        cipher=cipher,
    )
    await add(tx, newcomer.user_id, made, name=name, party=party)


async def add(
    tx: Tx, user_id: UUID, made: NewPasskey, *, name: str | None, party: RelyingParty
) -> UUID:
    """Give an account a passkey and return its id; a system transaction of the actor."""
    proof = Proof(provider=PROVIDER, issuer=party.id, subject=_subject(made.credential_id))
    passkey_id = await logins.add(tx, user_id, proof)
    await queries.insert_passkey.run(
        tx,
        passkey_id,
        user_id,
        made.credential_id,
        made.public_key,
        made.sign_count,
        name,
        made.transports,
        made.is_user_verified,
        made.is_backup_eligible,
        made.is_backed_up,
    )
    return passkey_id


async def sign_in(
    tx: Tx, given: SignedCredential, challenge: str, party: RelyingParty
) -> UUID | None:
    """Return whose passkey signed, or raise passkey.refused; a system transaction.

    None when the device's counter went back, which is noted: the caller commits, then refuses.
    A copy of the passkey may be in use, or this one may be the copy; whichever has counted further
    still signs in, and its owner sees the note (WebAuthn, 6.1.1).
    """
    stored = await queries.lock_passkey.first(tx, rules.credential_id_of(given))
    if stored is None or stored.is_closed:
        raise refused("unknown", "passkey.refused")
    shown = rules.verify_signed(given, challenge, party, stored)
    if shown is None:
        raise refused("not_signed_here", "passkey.refused")
    if rules.went_back(stored.sign_count, shown.sign_count):
        await queries.suspect.run(tx, stored.id)
        log.get("passkeys").warning("passkey_counter_went_back", passkey_id=str(stored.id))
        return None
    is_user_verified = stored.is_user_verified or shown.is_user_verified
    await queries.note_sign_in.run(
        tx, stored.id, shown.sign_count, is_user_verified, shown.is_backed_up
    )
    await logins.note_use(tx, stored.id, PROVIDER)
    return stored.user_id


async def list_descriptors(tx: Tx) -> list[Descriptor]:
    """Return which passkeys the actor has, as devices are told of them."""
    return await queries.list_descriptors.all(tx)


async def list_passkeys(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Passkey]:
    """Return the actor's passkeys, the oldest first."""
    after = page.decode_cursor(cursor, PASSKEYS_LISTING, tuple[UUID])
    rows = await queries.list_passkeys.all(tx, after[0] if after else _FIRST_ID, limit + 1)
    return page.paginate(rows, limit, PASSKEYS_LISTING, lambda passkey: (passkey.id,))


async def get_passkey(tx: Tx, passkey_id: UUID) -> Passkey:
    """Return one of the actor's passkeys."""
    found = await queries.find_my_passkey.first(tx, passkey_id)
    if found is None:
        raise DomainError("passkey.not_found")
    return found


async def name_passkey(tx: Tx, passkey_id: UUID, name: str | None) -> Passkey:
    """Name one of the actor's passkeys."""
    if await queries.name_passkey.first(tx, passkey_id, name) is None:
        raise DomainError("passkey.not_found")
    return await get_passkey(tx, passkey_id)


async def remove_passkey(tx: Tx, passkey_id: UUID) -> None:
    """Take away one of the actor's passkeys, unless it is the last way to sign in."""
    await get_passkey(tx, passkey_id)
    await logins.remove_login(tx, passkey_id)


def _subject(credential_id: bytes) -> str:
    """Return what a login names a credential by, whose own id may be a kilobyte."""
    digest = hashlib.sha256(credential_id).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
