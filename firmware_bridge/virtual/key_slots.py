"""A ring's side of a claim: which keys it has, and which it would have. Pure, no I/O.

At any moment the hub can verify the ring: it changes keys only for a confirmation that the hub
makes after it has stored the new keys, and keeps the old ones until then, whatever is cut off.
"""

import hmac

import msgspec

from firmware_bridge import claim
from firmware_bridge.claim import Challenge, Keys, Proof


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An answered challenge: the proof that was given, and what it leads to."""

    challenge: Challenge
    proof: Proof
    keys: Keys
    confirmation: bytes


class KeySlots(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive a power cut; `keys` is None while those of the ring's making hold."""

    keys: Keys | None = None
    pending: Pending | None = None
    confirmed: bytes = b""
    """The confirmation that led to `keys`: given again, it is answered again."""


def answer(
    slots: KeySlots,
    challenge: Challenge,
    *,
    ring_id: bytes,
    key: bytes,
    private_key: bytes,
    boot: int,
    seq: int,
) -> KeySlots:
    """Return the slots after a challenge, the answer in `pending`; `key` is the present K_tap.

    The same challenge again changes nothing: its answer was lost. Another one takes the place of
    an unfinished claim. Raises ClaimError for a public key that leads to no secret.
    """
    if has_answered(slots, challenge):
        return slots
    own, keys = claim.ring_keys(challenge, ring_id=ring_id, key=key, private_key=private_key)
    proof = claim.prove(
        challenge, ring_id=ring_id, key=key, ring_public_key=own, boot=boot, seq=seq
    )
    confirmation = claim.confirm(keys, challenge, ring_id=ring_id, ring_public_key=own)
    pending = Pending(challenge=challenge, proof=proof, keys=keys, confirmation=confirmation)
    return msgspec.structs.replace(slots, pending=pending)


def has_answered(slots: KeySlots, challenge: Challenge) -> bool:
    """Tell whether this challenge has its proof already."""
    return slots.pending is not None and slots.pending.challenge == challenge


def confirm(slots: KeySlots, confirmation: bytes) -> KeySlots | None:
    """Return the slots after a confirmation; None when it is not the one that was expected."""
    pending = slots.pending
    if pending is not None and hmac.compare_digest(confirmation, pending.confirmation):
        return KeySlots(keys=pending.keys, confirmed=confirmation)
    if slots.confirmed and hmac.compare_digest(confirmation, slots.confirmed):
        return slots
    return None
