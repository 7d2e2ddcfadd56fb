"""Addresses that people have verified, and who may be found by them."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from core import normal_forms
from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from core.normal_forms import AddressKind
from hub.domains.consents import service as consents
from hub.domains.identities import queries, rules
from hub.domains.identities.schemas import Identity, MatchContacts, Matches
from hub.http import page

IDENTITIES_LISTING = "identities"
_FIRST_ID = UUID(int=0)


async def list_own(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Identity]:
    """Return the actor's verified addresses, the oldest first."""
    after = page.decode_cursor(cursor, IDENTITIES_LISTING, tuple[UUID])
    rows = await queries.list_own.all(tx, after[0] if after else _FIRST_ID, limit + 1)
    return page.paginate(rows, limit, IDENTITIES_LISTING, lambda item: (item.id,))


async def get_own(tx: Tx, identity_id: UUID) -> Identity:
    """Return one of the actor's verified addresses, or raise identity.not_found."""
    found = await queries.find_own.first(tx, identity_id)
    if found is None:
        raise DomainError("identity.not_found")
    return found


async def remove_own(tx: Tx, identity_id: UUID) -> None:
    """Forget that the actor has an address, or raise identity.not_found."""
    if await queries.delete_own.first(tx, identity_id) is None:
        raise DomainError("identity.not_found")


async def note_verified(
    tx: Tx,
    user_id: UUID,
    login_id: UUID,
    kind: AddressKind,
    form: str,
    *,
    cipher: FieldCipher,
    index_key: bytes,
) -> None:
    """Remember that a user has proved an address, given in its normal form. A system transaction.

    Somebody else who has it gives it up and is told, unless their own proof is so young that both
    must have it at present: then it stays with them. Nobody finds a user by it before they consent
    to `contact_matching`.
    """
    index = rules.identity_index(index_key, kind, rules.digest(form))
    await queries.lock_identity.run(tx, index)
    live = cipher.indexes.live(index)
    await queries.release.run(tx, user_id, kind, live, rules.PROVED_DAYS)
    await queries.note_verified.run(tx, user_id, login_id, kind, live[0], live)


async def require_consent(tx: Tx, user_id: UUID) -> None:
    """Raise consent.missing unless the actor lets themselves be found, too."""
    await consents.require(tx, user_id, "contact_matching")


async def match(tx: Tx, asked: MatchContacts, *, cipher: FieldCipher, index_key: bytes) -> Matches:
    """Return who of the people behind these addresses is a user that lets it be known.

    An address of nobody, of somebody who does not, and of somebody who has blocked the actor give
    the same answer.
    """
    region = asked.region
    if region is None:
        region = normal_forms.region_of(await queries.find_locale.first(tx))
    digests = [rules.digest_of(item, region and region.upper()) for item in asked.addresses]
    places: dict[tuple[AddressKind, str], list[int]] = {}
    for position, (item, digest) in enumerate(zip(asked.addresses, digests, strict=True)):
        if digest is not None:
            places.setdefault((item.kind, digest), []).append(position)
    positions: list[int] = []
    kinds: list[str] = []
    hashes: list[bytes] = []
    # Each address once, however often it is asked for: a hundred times the moment that it takes to
    # see that somebody does not consent could be told from a hundred times nobody.
    for (kind, digest), (first, *_) in places.items():
        live = cipher.indexes.live(rules.identity_index(index_key, kind, digest))
        hashes += live
        positions += [first] * len(live)
        kinds += [kind] * len(live)
    found = await queries.match.all(tx, positions, kinds, hashes, len(asked.addresses))
    same = {group[0]: group for group in places.values()}
    matches = [
        replace(match, position=position) for match in found for position in same[match.position]
    ]
    matches.sort(key=lambda match: match.position)
    return Matches(matches=matches, unreadable=_missing(digests))


def _missing(digests: Sequence[str | None]) -> list[int]:
    return [position for position, digest in enumerate(digests) if digest is None]
