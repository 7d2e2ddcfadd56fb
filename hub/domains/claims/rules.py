"""What proves a claim, and which keys follow from it."""

from typing import Final
from uuid import UUID

import msgspec

from core import typed_code
from core.crypto import blind_index
from firmware_bridge import claim
from firmware_bridge.claim import Challenge, ClaimError, Keys, Proof
from hub.domains.claims.schemas import ClaimMethod

LIFETIME_SECONDS: Final = 900
ATTEMPTS_MAX: Final = 5
"""Wrong proofs of one claim; then it is refused."""
REFUSED_PER_HOUR_MAX: Final = 5
"""Refused claims of one ring by one user; then they wait."""


class Won(msgspec.Struct, frozen=True):
    """A proof that verifies, and what it leads to."""

    by_next: bool
    """Whether the ring had changed to its next keys already, unheard."""
    keys: Keys
    confirmation: bytes


def methods(*, has_tap_key: bool, has_sun_keys: bool) -> tuple[ClaimMethod, ...]:
    """Return how possession of a ring can be proved.

    A ring with Bluetooth proves itself over Bluetooth alone: only so are its keys changed, and only
    so is it known which of its taps are from before.
    """
    if has_tap_key:
        return ("ble",)
    return ("sun",) if has_sun_keys else ()


def judge(
    proof: Proof,
    challenge: Challenge,
    *,
    ring_id: bytes,
    private_key: bytes,
    tap_key: bytes,
    next_tap_key: bytes | None,
) -> Won | None:
    """Return what a proof wins, or None when it is not this ring's answer to this challenge.

    The ring may use either key: of a confirmation nobody knows whether it arrived.
    """
    for key in filter(None, (tap_key, next_tap_key)):
        if not claim.verify(proof, challenge, ring_id=ring_id, key=key):
            continue
        try:
            keys = claim.hub_keys(
                proof, challenge, ring_id=ring_id, key=key, private_key=private_key
            )
        except ClaimError:
            return None
        confirmation = claim.confirm(
            keys, challenge, ring_id=ring_id, ring_public_key=proof.ring_public_key
        )
        return Won(key is next_tap_key, keys, confirmation)
    return None


def released_code(index_key: bytes, ring_id: UUID) -> str:
    """Return the code by which the next owner claims a released ring."""
    number = blind_index(index_key, "ring.released_code", ring_id.hex)
    return typed_code.write(number[: typed_code.CARD_BYTES])
