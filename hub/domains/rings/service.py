"""Rings and taps of a user."""

import os
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from core import ids, log
from core.crypto import FieldCipher, blind_index, token_hash
from core.db import Tx
from core.errors import DomainError
from firmware_bridge import sun, sun_keys
from hub.domains.rings import queries, rules
from hub.domains.rings.queries import MadeRing
from hub.domains.rings.schemas import ClaimRing, Ring, SunTapped, Tap
from hub.http import page

RINGS_LISTING = "rings"
TAPS_LISTING = "taps"
TAP_KEY_COLUMN = "rings.tap_key"
TAP_KEY_BYTES: Final = 16
_SUN_RECORDED: Final = frozenset({"recorded", "replayed"})

_log = log.get("rings")


def claim_code_hash(index_key: bytes, code: str) -> bytes:
    """Return the blind index by which a ring is found from its card."""
    return blind_index(index_key, "ring.claim_code", rules.normalize_claim_code(code))


def nfc_uid_hash(index_key: bytes, uid: bytes) -> bytes:
    """Return the blind index by which a ring is found from its NFC chip."""
    return blind_index(index_key, "ring.nfc_uid", uid.hex())


async def claim_ring(tx: Tx, claim: ClaimRing, index_key: bytes) -> Ring:
    """Make the ring of a claim code the actor's; a code works once."""
    ring_id = await queries.claim.one(tx, claim_code_hash(index_key, claim.claim_code), claim.label)
    return await get_ring(tx, ring_id)


async def add_ring(
    tx: Tx,
    *,
    device_id: bytes,
    nfc_uid: bytes,
    claim_code: str,
    cipher: FieldCipher,
    index_key: bytes,
) -> MadeRing:
    """Return the ring with this device id, its tap key opened; new and unclaimed if need be.

    Needs a system transaction.
    """
    ring_id = ids.new_id()
    tap_key = os.urandom(TAP_KEY_BYTES)
    await queries.add_ring.run(
        tx,
        ring_id,
        device_id,
        nfc_uid_hash(index_key, nfc_uid),
        claim_code_hash(index_key, claim_code),
        cipher.seal(tap_key, column=TAP_KEY_COLUMN, row=ring_id.bytes),
    )
    made = await queries.find_made_ring.one(tx, device_id)
    opened = cipher.open(made.tap_key, column=TAP_KEY_COLUMN, row=made.id.bytes)
    return replace(made, tap_key=opened)


async def add_gateway(tx: Tx, *, gateway_id: UUID, owner_id: UUID, name: str) -> None:
    """Register a user's gateway; again is harmless. Needs a system transaction."""
    await queries.add_gateway.run(tx, gateway_id, owner_id, name)


async def get_ring(tx: Tx, ring_id: UUID) -> Ring:
    """Return a ring of the actor; of anybody else's it is as if it did not exist."""
    return _found(await queries.find_ring.first(tx, ring_id))


async def list_rings(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Ring]:
    """Return the actor's rings, the newest first."""
    before = page.decode_cursor(cursor, RINGS_LISTING, tuple[UUID])
    rows = await queries.list_rings.all(tx, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, RINGS_LISTING, lambda ring: (ring.id,))


async def rename_ring(tx: Tx, ring_id: UUID, label: str) -> Ring:
    """Give a ring of the actor another label."""
    return _found(await queries.rename.first(tx, ring_id, label))


async def report_lost(tx: Tx, ring_id: UUID) -> Ring:
    """Mark a ring of the actor as lost; its taps are refused from then on. Again is harmless."""
    return await queries.report_lost.first(tx, ring_id) or await get_ring(tx, ring_id)


async def list_taps(
    tx: Tx, *, ring_id: UUID | None, limit: int, cursor: str | None
) -> page.Page[Tap]:
    """Return the taps of the actor's rings, the newest first."""
    before = page.decode_cursor(cursor, TAPS_LISTING, tuple[UUID])
    rows = await queries.list_taps.all(tx, before[0] if before else None, ring_id, limit + 1)
    return page.paginate(rows, limit, TAPS_LISTING, lambda tap: (tap.id,))


async def find_device(tx: Tx, ring_id: UUID) -> bytes:
    """Return the device id of a ring of the actor."""
    device_id = await queries.find_device.first(tx, ring_id)
    if device_id is None:
        raise DomainError("ring.not_found")
    return device_id


def verify_sun(master_key: bytes, query: str) -> sun.SunTap:
    """Return what a genuine SUN link proves, or raise tap.refused without saying why.

    The link says whether its tag is in AES or LRP mode; each mode has keys of its own.
    """
    try:
        link = sun.parse(query)
        meta_key = sun_keys.meta_key(master_key, link.mode)
        return sun.read(link, meta_key, lambda uid: sun_keys.file_key(master_key, uid, link.mode))
    except sun.SunError:
        raise DomainError("tap.refused") from None


async def record_sun_tap(
    tx: Tx, tap: sun.SunTap, *, index_key: bytes, session: str, query: str
) -> SunTapped:
    """Record a genuine SUN link once; the same session gets the same answer for a minute.

    Needs a system transaction: whoever holds the ring up to a phone is not signed in.
    """
    uid_hash = nfc_uid_hash(index_key, tap.uid)
    row = await queries.record_sun_tap.one(
        tx, uid_hash, tap.counter, token_hash(session), query.encode()
    )
    if tap.is_worn_out and row.outcome == "recorded":
        _log.warning("sun_tag_worn_out", ring_id=str(row.ring_id))
    if row.outcome in _SUN_RECORDED and row.tap_id is not None:
        return SunTapped(row.tap_id)
    raise DomainError("tap.already_used" if row.outcome == "already_used" else "tap.refused")


def _found(ring: Ring | None) -> Ring:
    if ring is None:
        raise DomainError("ring.not_found")
    return ring
