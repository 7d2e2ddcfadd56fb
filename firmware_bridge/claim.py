"""The claim of a ring: challenge, proof of possession, new keys, confirmation. Pure, no I/O.

Challenge (hub to ring) = nonce 8 | hub_public_key 32. Proof (ring to hub) = ring_public_key 32 |
boot u32 LE | seq u32 LE | tag 16, where boot and seq are those of the last tap before the claim and
tag = AES-CMAC(K_tap, "ring-claim-v1" | T | boot | seq), T = ring_id 8 | nonce | hub_public_key |
ring_public_key. Both ends then know, with S = X25519 (RFC 7748; all-zero S is refused), and the
present K_tap as HKDF's salt, so that only who knows it can make a ring take other keys:

K_tap' = HKDF-SHA256(S, salt K_tap, info "PING-CLAIM-TAP" | T, 16)
K_eid' = HKDF-SHA256(S, salt K_tap, info "PING-CLAIM-EID" | T, 16)

Confirmation (hub to ring) = AES-CMAC(K_tap', "ring-confirm-v1" | T), 16 bytes.
"""

import hmac
import os
import struct
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware_bridge.tap import KEY_BYTES, RING_ID_BYTES, cmac

NONCE_BYTES: Final = 8
PUBLIC_KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
CHALLENGE_BYTES: Final = NONCE_BYTES + PUBLIC_KEY_BYTES
PROOF_BYTES: Final = PUBLIC_KEY_BYTES + 8 + TAG_BYTES
PRESS_SECONDS: Final = 60.0
"""A ring answers a challenge only so long after a press: whoever claims it has it in their hand."""

_COUNTERS: Final = struct.Struct("<II")
_PROOF_DOMAIN: Final = b"ring-claim-v1"
_CONFIRM_DOMAIN: Final = b"ring-confirm-v1"
_TAP_INFO: Final = b"PING-CLAIM-TAP"
_ID_INFO: Final = b"PING-CLAIM-EID"


class ClaimError(Exception):
    """The bytes are no challenge or proof, or a public key leads to no secret."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub asks; both parts are new for each claim."""

    nonce: bytes
    hub_public_key: bytes


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a ring answers; taps up to `boot`, `seq` are from before the claim."""

    ring_public_key: bytes
    boot: int
    seq: int
    tag: bytes


class Keys(msgspec.Struct, frozen=True):
    """The keys of a ring after its claim."""

    tap_key: bytes
    id_key: bytes


def new_private_key() -> bytes:
    """Return a fresh X25519 private key."""
    return os.urandom(PUBLIC_KEY_BYTES)


def public_key(private_key: bytes) -> bytes:
    """Return the X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def new_challenge(private_key: bytes) -> Challenge:
    """Return a challenge with a fresh nonce."""
    return Challenge(nonce=os.urandom(NONCE_BYTES), hub_public_key=public_key(private_key))


def encode_challenge(challenge: Challenge) -> bytes:
    """Return the 40 bytes of a challenge."""
    if len(challenge.nonce) != NONCE_BYTES or len(challenge.hub_public_key) != PUBLIC_KEY_BYTES:
        raise ClaimError("a nonce has 8 bytes, a public key 32")
    return challenge.nonce + challenge.hub_public_key


def decode_challenge(data: bytes) -> Challenge:
    """Read a challenge, or raise ClaimError."""
    if len(data) != CHALLENGE_BYTES:
        raise ClaimError(f"a challenge has {CHALLENGE_BYTES} bytes, not {len(data)}")
    return Challenge(nonce=data[:NONCE_BYTES], hub_public_key=data[NONCE_BYTES:])


def encode_proof(proof: Proof) -> bytes:
    """Return the 56 bytes of a proof."""
    if len(proof.ring_public_key) != PUBLIC_KEY_BYTES or len(proof.tag) != TAG_BYTES:
        raise ClaimError("a public key has 32 bytes, a tag 16")
    return proof.ring_public_key + _COUNTERS.pack(proof.boot, proof.seq) + proof.tag


def decode_proof(data: bytes) -> Proof:
    """Read a proof without checking its tag, or raise ClaimError."""
    if len(data) != PROOF_BYTES:
        raise ClaimError(f"a proof has {PROOF_BYTES} bytes, not {len(data)}")
    boot, seq = _COUNTERS.unpack_from(data, PUBLIC_KEY_BYTES)
    return Proof(ring_public_key=data[:PUBLIC_KEY_BYTES], boot=boot, seq=seq, tag=data[-TAG_BYTES:])


def prove(
    challenge: Challenge,
    *,
    ring_id: bytes,
    key: bytes,
    ring_public_key: bytes,
    boot: int,
    seq: int,
) -> Proof:
    """Return a ring's proof under its present K_tap."""
    tag = _proof_tag(challenge, ring_id, key, ring_public_key, _COUNTERS.pack(boot, seq))
    return Proof(ring_public_key=ring_public_key, boot=boot, seq=seq, tag=tag)


def verify(proof: Proof, challenge: Challenge, *, ring_id: bytes, key: bytes) -> bool:
    """Tell whether the ring with this K_tap made the proof; constant time."""
    counters = _COUNTERS.pack(proof.boot, proof.seq)
    tag = _proof_tag(challenge, ring_id, key, proof.ring_public_key, counters)
    return proof.boot > 0 and hmac.compare_digest(tag, proof.tag)


def ring_keys(
    challenge: Challenge, *, ring_id: bytes, key: bytes, private_key: bytes
) -> tuple[bytes, Keys]:
    """Return the ring's public key and its new keys, or raise ClaimError."""
    own = public_key(private_key)
    secret = _shared(private_key, challenge.hub_public_key)
    return own, _derive(secret, key, _transcript(challenge, ring_id, own))


def hub_keys(
    proof: Proof, challenge: Challenge, *, ring_id: bytes, key: bytes, private_key: bytes
) -> Keys:
    """Return the new keys on the hub's side; `key` is the K_tap that verified the proof."""
    secret = _shared(private_key, proof.ring_public_key)
    return _derive(secret, key, _transcript(challenge, ring_id, proof.ring_public_key))


def confirm(keys: Keys, challenge: Challenge, *, ring_id: bytes, ring_public_key: bytes) -> bytes:
    """Return the confirmation: with it a ring changes to the new keys."""
    return cmac(keys.tap_key, _CONFIRM_DOMAIN + _transcript(challenge, ring_id, ring_public_key))


def _proof_tag(
    challenge: Challenge, ring_id: bytes, key: bytes, ring_public_key: bytes, counters: bytes
) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("a tap key has 16 bytes")
    transcript = _transcript(challenge, ring_id, ring_public_key)
    return cmac(key, _PROOF_DOMAIN + transcript + counters)


def _transcript(challenge: Challenge, ring_id: bytes, ring_public_key: bytes) -> bytes:
    # All parts have fixed lengths, so that no two transcripts are the same bytes.
    if len(ring_id) != RING_ID_BYTES or len(ring_public_key) != PUBLIC_KEY_BYTES:
        raise ClaimError("a ring id has 8 bytes, a public key 32")
    return ring_id + encode_challenge(challenge) + ring_public_key


def _shared(private_key: bytes, peer: bytes) -> bytes:
    try:
        own = X25519PrivateKey.from_private_bytes(private_key)
        return own.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:  # RFC 7748 6.1: a point of small order gives zeros, known to everybody
        raise ClaimError("the public key leads to no secret") from None


def _derive(secret: bytes, key: bytes, transcript: bytes) -> Keys:
    def derived(info: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, key, info + transcript).derive(secret)

    return Keys(derived(_TAP_INFO), derived(_ID_INFO))
