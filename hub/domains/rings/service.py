"""Rings and taps of a user."""

import os
from typing import Final
from uuid import UUID

from core import ids, log, typed_code
from core.crypto import FieldCipher, blind_index, token_hash
from core.db import Tx
from core.errors import DomainError
from firmware_bridge import sun, sun_keys
from hub.domains.rings import queries
from hub.domains.rings.schemas import MadeRing, Ring, RingStatus, SunTapped, Tap
from hub.http import page

RINGS_LISTING = "rings"
TAPS_LISTING = "taps"
TAP_KEY_COLUMN = "rings.tap_key"
"""What next_tap_key and former_tap_key are sealed for, too: keys move between the three."""
ID_KEY_COLUMN = "rings.id_key"
KEY_BYTES: Final = 16
_SUN_RECORDED: Final = frozenset({"recorded", "replayed"})

_log = log.get("rings")


def claim_code_hash(index_key: bytes, code: str) -> bytes:
    """Return the blind index by which a ring is found from its card."""
    return blind_index(index_key, "ring.claim_code", typed_code.normalize(code))


def nfc_uid_hash(index_key: bytes, uid: bytes) -> bytes:
    """Return the blind index by which a ring is found from its NFC chip."""
    return blind_index(index_key, "ring.nfc_uid", uid.hex())


async def add_ring(
    tx: Tx,
    *,
    device_id: bytes,
    nfc_uid: bytes,
    claim_code: str,
    cipher: FieldCipher,
    index_key: bytes,
) -> MadeRing:
    """Return the ring with this device id, its keys opened; new and unclaimed if need be.

    Needs a system transaction. Raises DomainError when another ring has the tag or the code.
    """
    ring_id = ids.new_id()

    def new_key(column: str) -> bytes:
        return cipher.seal(os.urandom(KEY_BYTES), column=column, row=ring_id.bytes)

    uids = cipher.indexes.live(nfc_uid_hash(index_key, nfc_uid))
    codes = cipher.indexes.live(claim_code_hash(index_key, claim_code))
    is_new = await queries.add_ring.run(
        tx,
        ring_id,
        device_id,
        uids[0],
        codes[0],
        new_key(TAP_KEY_COLUMN),
        new_key(ID_KEY_COLUMN),
        uids,
        codes,
    )
    stored = await queries.find_stored_ring.first(tx, device_id)
    if stored is None:
        raise DomainError("request.conflict", f"Another ring has the tag {nfc_uid.hex().upper()}.")

    def opened(sealed: bytes, column: str) -> bytes:
        return cipher.open(sealed, column=column, row=stored.id.bytes)

    return MadeRing(
        id=stored.id,
        is_new=bool(is_new),
        tap_key=opened(stored.tap_key, TAP_KEY_COLUMN),
        id_key=opened(stored.id_key, ID_KEY_COLUMN),
    )


async def give_ring(tx: Tx, ring_id: UUID, owner_id: UUID, label: str) -> None:
    """Hand an unclaimed ring to a user, as who makes rings for known people does.

    Needs a system transaction. Nothing is proved, so the ring is not verified.
    """
    if not await queries.give_ring.run(tx, ring_id, owner_id, label):
        raise DomainError("ring.claim_refused")


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
    ring = await queries.report_lost.first(tx, ring_id) or await get_ring(tx, ring_id)
    return _in_state(ring, "lost")


async def report_found(tx: Tx, ring_id: UUID) -> Ring:
    """Make a lost ring of the actor active again. Again is harmless."""
    ring = await queries.report_found.first(tx, ring_id) or await get_ring(tx, ring_id)
    return _in_state(ring, "active")


async def revoke_ring(tx: Tx, ring_id: UUID) -> Ring:
    """Cast a ring of the actor out for good. Again is harmless."""
    ring = await queries.revoke.first(tx, ring_id) or await get_ring(tx, ring_id)
    return _in_state(ring, "revoked")


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
    tx: Tx,
    tap: sun.SunTap,
    *,
    index_key: bytes,
    cipher: FieldCipher,
    session: str,
    query: str,
) -> SunTapped:
    """Record a genuine SUN link once; the same session gets the same answer for a minute.

    Needs a system transaction: whoever holds the ring up to a phone is not signed in.
    """
    uid_hashes = cipher.indexes.live(nfc_uid_hash(index_key, tap.uid))
    row = await queries.record_sun_tap.one(
        tx, uid_hashes, tap.counter, token_hash(session), query.encode()
    )
    if tap.is_worn_out and row.outcome == "recorded":
        _log.warning("sun_tag_worn_out", ring_id=str(row.ring_id))
    if row.outcome in _SUN_RECORDED and row.tap_id is not None:
        return SunTapped(row.tap_id)
    raise DomainError("tap.already_used" if row.outcome == "already_used" else "tap.refused")


def _in_state(ring: Ring, status: RingStatus) -> Ring:
    if ring.status != status:
        raise DomainError("ring.state_refused")
    return ring


def _found(ring: Ring | None) -> Ring:
    if ring is None:
        raise DomainError("ring.not_found")
    return ring
