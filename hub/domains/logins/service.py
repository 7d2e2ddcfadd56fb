"""Who signs in: from what a provider vouches for to an account, and the logins of an account.

An account is found by issuer and subject and by nothing else. An e-mail address never signs anybody
in: one that is known already only leads to the way of adding the login, from within the account.
"""

from uuid import UUID

from msgspec import Struct

from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from hub.domains.accounts import service as accounts
from hub.domains.identities import service as identities
from hub.domains.logins import queries, rules
from hub.domains.logins.schemas import FoundLogin, Login, Proof
from hub.http import page

LOGINS_LISTING = "logins"
_FIRST_ID = UUID(int=0)


class Keys(Struct, frozen=True):
    """What seals a new account's address, and what it is found by."""

    cipher: FieldCipher
    index: bytes


async def find(tx: Tx, issuer: str, subject: str) -> FoundLogin | None:
    """Return whose a login is; None for nobody's and for one of a closed account."""
    return await queries.find_login.first(tx, issuer, subject)


async def sign_in(tx: Tx, proof: Proof, keys: Keys) -> UUID:
    """Return the user of a login, new if nobody has it; a system transaction.

    Raises login.link_required where an account has the address, which may be the same person's.
    """
    known = await recognise(tx, proof, keys)
    return await _add_user(tx, proof, keys) if known is None else known


async def recognise(tx: Tx, proof: Proof, keys: Keys) -> UUID | None:
    """Return the user of a login, None if nobody has it; a system transaction."""
    await queries.lock_login.run(tx, proof.issuer, proof.subject)
    owner = await queries.find_owner.first(tx, proof.issuer, proof.subject)
    if owner is None:
        return None
    if owner.is_closed:
        raise DomainError("login.refused")
    await queries.note_use.run(tx, owner.id, proof.provider)
    await _note_identities(tx, owner.user_id, owner.id, proof, keys)
    return owner.user_id


async def link(tx: Tx, user_id: UUID, proof: Proof, keys: Keys) -> UUID:
    """Add a login to the actor's account and return its id; again is harmless.

    A system transaction of the actor: no login of the interface may write who somebody is.
    """
    # Whoever adds a login says by that who they are elsewhere: only of a confirmed address.
    if not proof.email_verified:
        raise DomainError("login.email_unverified")
    address_hash = _address_hash(proof, keys.index)
    stored = None if address_hash is None else keys.cipher.indexes.written(address_hash)
    login_id = await add(tx, user_id, proof, stored)
    await _note_identities(tx, user_id, login_id, proof, keys)
    return login_id


async def add(tx: Tx, user_id: UUID, proof: Proof, address_hash: bytes | None = None) -> UUID:
    """Give an account a login that was proved, and return its id; a system transaction."""
    await queries.lock_logins_of.run(tx, user_id)
    await queries.lock_login.run(tx, proof.issuer, proof.subject)
    owner = await queries.find_owner.first(tx, proof.issuer, proof.subject)
    if owner is not None:
        if owner.user_id != user_id:
            raise DomainError("login.taken")
        return owner.id
    if await queries.count_logins_of.one(tx, user_id) >= rules.LOGINS_MAX:
        raise DomainError("login.limit")
    return await _add_login(tx, user_id, proof, address_hash)


async def note_use(tx: Tx, login_id: UUID, provider: str) -> None:
    """Note that somebody signed in with a login; a system transaction."""
    await queries.note_use.run(tx, login_id, provider)


async def list_logins(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Login]:
    """Return the actor's logins, the oldest first."""
    after = page.decode_cursor(cursor, LOGINS_LISTING, tuple[UUID])
    rows = await queries.list_logins.all(tx, after[0] if after else _FIRST_ID, limit + 1)
    return page.paginate(rows, limit, LOGINS_LISTING, lambda login: (login.id,))


async def get_login(tx: Tx, login_id: UUID) -> Login:
    """Return one of the actor's logins."""
    found = await queries.find_my_login.first(tx, login_id)
    if found is None:
        raise DomainError("login.not_found")
    return found


async def remove_login(tx: Tx, login_id: UUID) -> None:
    """Take away one of the actor's logins, never the last one."""
    await queries.lock_my_logins.run(tx)
    await get_login(tx, login_id)
    if not await queries.has_another_login.one(tx, login_id):
        raise DomainError("login.last")
    await queries.delete_login.run(tx, login_id)


async def _add_user(tx: Tx, proof: Proof, keys: Keys) -> UUID:
    address_hash = _address_hash(proof, keys.index)
    live = [] if address_hash is None else keys.cipher.indexes.live(address_hash)
    if live and await queries.has_address.one(tx, live):
        raise DomainError("login.link_required")
    user_id = await accounts.create_user(
        tx,
        full_name=rules.name_of(proof),
        # An unverified address may be anybody's: nothing is kept of it, nothing sent there.
        email=proof.email if proof.email_verified else None,
        email_hash=address_hash,
        locale=rules.locale_of(proof),
        cipher=keys.cipher,
    )
    if user_id is None:
        raise DomainError("login.link_required")
    login_id = await _add_login(tx, user_id, proof, live[0] if live else None)
    await _note_identities(tx, user_id, login_id, proof, keys)
    return user_id


async def _note_identities(tx: Tx, user_id: UUID, login_id: UUID, proof: Proof, keys: Keys) -> None:
    for kind, form in rules.identities_of(proof):
        await identities.note_verified(
            tx, user_id, login_id, kind, form, cipher=keys.cipher, index_key=keys.index
        )


async def _add_login(tx: Tx, user_id: UUID, proof: Proof, address_hash: bytes | None) -> UUID:
    return await queries.insert_login.one(
        tx, user_id, proof.provider, proof.issuer, proof.subject, address_hash
    )


def _address_hash(proof: Proof, index_key: bytes) -> bytes | None:
    return accounts.email_index(index_key, proof.email) if rules.proves_address(proof) else None
