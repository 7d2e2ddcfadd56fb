"""The claim of a ring, from the code on its card to its keys; and its way to the next owner.

All of it runs as ping_system with the claimer as the actor: rows of unclaimed rings and sealed keys
are out of reach of the users' own login.
"""

import hashlib
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from core import ids, log
from core.config import Settings
from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from firmware_bridge import claim as ring_claim
from firmware_bridge.claim import Challenge
from hub.domains.claims import queries, rules
from hub.domains.claims.schemas import (
    BleProof,
    Claimed,
    ClaimedRing,
    ClaimRow,
    GatewayErrand,
    Proof,
    Released,
    RingClaim,
    RingRow,
    StartClaim,
    SunProof,
)
from hub.domains.rings import service as rings
from hub.providers.keys import read_index_key, read_sun_master_key

_PRIVATE_KEY_COLUMN: Final = "ring_claims.hub_private_key"
_REFUSED_WAIT_SECONDS: Final = 3600
_PURGE_MAX_ROWS: Final = 10_000
# Both calls of an errand, each up to its time-out.
_TRY_SECONDS: Final = 25.0

_log = log.get("claims")


class Secrets(msgspec.Struct, frozen=True):
    """The house's keys that claims need."""

    cipher: FieldCipher
    index_key: bytes
    sun_master_key: bytes


def read_secrets(settings: Settings, cipher: FieldCipher) -> Secrets:
    """Return the house's keys, or raise ConfigError."""
    return Secrets(
        cipher,
        read_index_key(settings),
        read_sun_master_key(settings),
    )


async def start(tx: Tx, wanted: StartClaim, secrets: Secrets) -> RingClaim:
    """Open a claim of the ring with this code; asked again, it is answered again.

    A tag without keys has nothing to prove with: the code alone makes it the actor's, unverified.
    """
    code_hash = rings.claim_code_hash(secrets.index_key, wanted.claim_code)
    known = await queries.find_by_code.first(tx, code_hash)
    if known is not None:
        return await get(tx, known)
    ring = await queries.find_claimable.first(tx, secrets.cipher.indexes.live(code_hash))
    if ring is None:
        raise DomainError("ring.claim_refused")
    if await queries.count_refused.one(tx, ring.id) >= rules.REFUSED_PER_HOUR_MAX:
        raise DomainError("limit.exceeded", retry_after_seconds=_REFUSED_WAIT_SECONDS)
    await queries.drop_expired.run(tx, ring.id)
    claim_id = ids.new_id()
    private_key = ring_claim.new_private_key()
    challenge = ring_claim.new_challenge(private_key)
    is_new = await queries.add_claim.run(
        tx,
        claim_id,
        ring.id,
        code_hash,
        wanted.label,
        challenge.nonce,
        challenge.hub_public_key,
        secrets.cipher.seal(private_key, column=_PRIVATE_KEY_COLUMN, row=claim_id.bytes),
        rules.LIFETIME_SECONDS,
    )
    if not is_new:  # asked twice at once: the other one is committed by now
        claim_id = await queries.find_by_code.one(tx, code_hash)
    elif not _methods(ring):
        if await queries.take_by_code.first(tx, ring.id, wanted.label) is None:
            raise DomainError("ring.claim_refused")
        await queries.finish_claim.run(tx, claim_id, None, None)
    return await get(tx, claim_id)


async def get(tx: Tx, claim_id: UUID) -> RingClaim:
    """Return a claim of the actor."""
    row = await queries.find_claim.first(tx, claim_id)
    if row is None:
        raise DomainError("ring.claim_not_found")
    return RingClaim(
        id=row.id,
        status=row.status,
        label=row.label,
        ring=ClaimedRing(row.kind),
        methods=rules.methods(has_tap_key=row.has_tap_key, has_sun_keys=row.has_sun_keys),
        nonce=row.nonce.hex(),
        hub_public_key=row.hub_public_key.hex(),
        ring_id=row.ring_id if row.status == "done" else None,
        gateway_id=row.gateway_id,
        gateway_code=row.gateway_code,
        expires_at=row.expires_at,
    )


async def prove(tx: Tx, claim_id: UUID, proof: Proof, secrets: Secrets) -> Claimed | None:
    """Make the ring the actor's, or return None for a wrong proof, which is counted: commit it.

    The proof that won gets the same answer again. Of several claims of one ring the first to prove
    wins. Raises `ring.claim_not_found`, `ring.claim_closed` and `ring.claim_refused`.
    """
    claim = await queries.lock_claim.first(tx, claim_id)
    if claim is None:
        raise DomainError("ring.claim_not_found")
    proof_hash = hashlib.sha256(msgspec.json.encode(proof)).digest()
    if claim.status == "done":
        if claim.proof_hash != proof_hash:
            raise DomainError("ring.claim_closed")
        return await _claimed(tx, claim.ring_id, claim.confirmation)
    if claim.status != "open" or claim.is_expired:
        raise DomainError("ring.claim_closed")
    ring = await queries.lock_ring.one(tx, claim.ring_id)
    if ring.status != "unclaimed":
        raise DomainError("ring.claim_refused")
    match proof:
        case BleProof():
            is_right, confirmation = await _take_by_key(tx, claim, ring, proof, secrets.cipher)
        case SunProof(url=url):
            is_right, confirmation = await _take_by_sun(tx, claim, ring, url, secrets), None
    if not is_right:
        await queries.count_attempt.run(tx, claim.id, rules.ATTEMPTS_MAX)
        _log.warning("claim_proof_refused", claim_id=str(claim.id), ring_id=str(ring.id))
        return None
    await queries.finish_claim.run(tx, claim.id, proof_hash, confirmation)
    return await _claimed(tx, ring.id, confirmation)


async def ask_gateway(tx: Tx, claim_id: UUID, gateway_id: UUID) -> RingClaim:
    """Let a gateway of the actor fetch the proof, or bring the confirmation again."""
    status = await queries.find_own_gateway.first(tx, gateway_id)
    if status is None:
        raise DomainError("gateway.not_found")
    claim = await get(tx, claim_id)
    if status != "online":
        raise DomainError("gateway.offline")
    is_asked = claim.methods == ("ble",) and (
        await queries.ask_gateway.first(tx, claim_id, gateway_id, _TRY_SECONDS)
        or await queries.is_being_asked.one(tx, claim_id)
    )
    if not is_asked:
        raise DomainError("ring.claim_closed")
    return await get(tx, claim_id)


async def find_errand(tx: Tx, claim_id: UUID) -> GatewayErrand | None:
    """Return what a gateway has to do for a claim; None when there is nothing any more."""
    return await queries.find_errand.first(tx, claim_id)


async def note_gateway(tx: Tx, claim_id: UUID, code: str | None) -> None:
    """Remember why a gateway could not help; None: it could."""
    await queries.note_gateway.run(tx, claim_id, code)


async def find_pressable(tx: Tx, claim_id: UUID) -> bytes:
    """Return the device id of the ring of a claim of the actor; for virtual rings."""
    errand = await queries.find_errand.first(tx, claim_id)
    claim = await get(tx, claim_id)
    if errand is None:
        raise DomainError("ring.claim_closed" if claim else "ring.claim_not_found")
    return errand.device_id


async def release(tx: Tx, ring_id: UUID, secrets: Secrets) -> Released:
    """Part with a ring: its history stays the actor's, the device waits for its next owner.

    Asked again within a quarter of an hour, the same code is answered, unless it is used.
    """
    ring = await queries.lock_own_ring.first(tx, ring_id)
    if ring is None:
        raise DomainError("ring.not_found")
    # Made from the ring's id, so that it need not be kept where somebody could read it.
    code = rules.released_code(secrets.index_key, ring_id)
    codes = secrets.cipher.indexes.live(rings.claim_code_hash(secrets.index_key, code))
    if ring.status == "released":
        is_waiting = await queries.find_released.first(tx, codes, rules.LIFETIME_SECONDS)
        shown = code if is_waiting else None
        return Released(ring=await rings.get_ring(tx, ring_id), claim_code=shown)
    if ring.status != "active":
        raise DomainError("ring.state_refused")
    fresh = ids.new_id()

    def moved(sealed: bytes | None, column: str) -> bytes | None:
        if sealed is None:
            return None
        opened = secrets.cipher.open(sealed, column=column, row=ring_id.bytes)
        return secrets.cipher.seal(opened, column=column, row=fresh.bytes)

    await queries.release_ring.run(tx, ring_id)
    await queries.add_released.run(
        tx,
        ring_id,
        fresh,
        ring.device_id,
        ring.nfc_uid_hash,
        codes[0],
        moved(ring.tap_key, rings.TAP_KEY_COLUMN),
        moved(ring.id_key, rings.ID_KEY_COLUMN),
        moved(ring.next_tap_key, rings.TAP_KEY_COLUMN),
        moved(ring.next_id_key, rings.ID_KEY_COLUMN),
    )
    return Released(ring=await rings.get_ring(tx, ring_id), claim_code=code)


async def purge(tx: Tx) -> bool:
    """Forget claims that are over; says whether some are left for another transaction."""
    return await queries.purge.run(tx, _PURGE_MAX_ROWS) == _PURGE_MAX_ROWS


async def _take_by_key(
    tx: Tx, claim: ClaimRow, ring: RingRow, proof: BleProof, cipher: FieldCipher
) -> tuple[bool, bytes | None]:
    if ring.tap_key is None or ring.device_id is None or claim.hub_private_key is None:
        return False, None
    answer = ring_claim.Proof(
        ring_public_key=bytes.fromhex(proof.ring_public_key),
        boot=proof.boot,
        seq=proof.seq,
        tag=bytes.fromhex(proof.tag),
    )

    def opened(sealed: bytes) -> bytes:
        return cipher.open(sealed, column=rings.TAP_KEY_COLUMN, row=ring.id.bytes)

    won = rules.judge(
        answer,
        Challenge(nonce=claim.nonce, hub_public_key=claim.hub_public_key),
        ring_id=ring.device_id,
        private_key=cipher.open(
            claim.hub_private_key, column=_PRIVATE_KEY_COLUMN, row=claim.id.bytes
        ),
        tap_key=opened(ring.tap_key),
        next_tap_key=None if ring.next_tap_key is None else opened(ring.next_tap_key),
    )
    if won is None:
        return False, None
    taken = await queries.take_by_key.first(
        tx,
        ring.id,
        claim.label,
        won.by_next,
        cipher.seal(won.keys.tap_key, column=rings.TAP_KEY_COLUMN, row=ring.id.bytes),
        cipher.seal(won.keys.id_key, column=rings.ID_KEY_COLUMN, row=ring.id.bytes),
        proof.boot,
        proof.seq,
    )
    return taken is not None, won.confirmation


async def _take_by_sun(tx: Tx, claim: ClaimRow, ring: RingRow, url: str, secrets: Secrets) -> bool:
    if _methods(ring) != ("sun",):
        return False
    try:
        tap = rings.verify_sun(secrets.sun_master_key, urlsplit(url).query)
    except (DomainError, ValueError):
        return False
    uid_hash = rings.nfc_uid_hash(secrets.index_key, tap.uid)
    if ring.nfc_uid_hash not in secrets.cipher.indexes.live(uid_hash):
        return False
    return await queries.take_by_sun.first(tx, ring.id, claim.label, tap.counter) is not None


async def _claimed(tx: Tx, ring_id: UUID, confirmation: bytes | None) -> Claimed:
    ring = await rings.get_ring(tx, ring_id)
    return Claimed(ring=ring, confirmation=None if confirmation is None else confirmation.hex())


def _methods(ring: RingRow) -> tuple[str, ...]:
    has_sun_keys = ring.nfc_uid_hash is not None and ring.key_id is not None
    return rules.methods(has_tap_key=ring.tap_key is not None, has_sun_keys=has_sun_keys)
