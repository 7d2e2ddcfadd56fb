"""The claim of a ring: vectors, and that nothing but the right bytes is taken."""

import hmac
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import claim
from firmware_bridge.claim import Challenge, ClaimError, Keys
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("claim")
RING, KEY = b"ring--id", bytes(range(16))
HUB, OWN = claim.new_private_key(), claim.new_private_key()
CHALLENGE = claim.new_challenge(HUB)


def fields(vector: dict[str, Any]) -> dict[str, bytes]:
    return {name: bytes.fromhex(text) for name, text in vector.items() if isinstance(text, str)}


@pytest.mark.parametrize("vector", GOLDEN["claims"], ids=lambda v: v["what"])
def test_both_ends_compute_what_the_vectors_say(vector: dict[str, Any]):
    known = fields({name: text for name, text in vector.items() if name != "what"})
    ring = {"ring_id": known["ring_id"], "key": known["tap_key"]}
    challenge = claim.decode_challenge(known["challenge"])
    assert challenge.hub_public_key == claim.public_key(known["hub_private_key"])
    public, keys = claim.ring_keys(challenge, private_key=known["ring_private_key"], **ring)
    assert keys == Keys(known["new_tap_key"], known["new_id_key"])
    proof = claim.prove(
        challenge, ring_public_key=public, boot=vector["boot"], seq=vector["seq"], **ring
    )
    assert claim.encode_proof(proof) == known["proof"]
    assert claim.decode_proof(known["proof"]) == proof
    assert claim.verify(proof, challenge, **ring)
    assert claim.hub_keys(proof, challenge, private_key=known["hub_private_key"], **ring) == keys
    confirmation = claim.confirm(keys, challenge, ring_id=ring["ring_id"], ring_public_key=public)
    assert confirmation == known["confirmation"]


def test_the_key_schedule_is_hkdf_of_the_published_secret():
    published = fields(GOLDEN["rfc7748"])
    known = fields({n: t for n, t in GOLDEN["claims"][0].items() if n != "what"})
    assert claim.public_key(published["alice_private"]) == published["alice_public"]
    assert known["challenge"][8:] == published["alice_public"]
    assert known["proof"][:32] == published["bob_public"]
    transcript = known["ring_id"] + known["challenge"] + published["bob_public"]
    # RFC 5869, written out: extract with the salt, then one block of expand.
    secret = hmac.digest(known["tap_key"], published["shared_secret"], sha256)
    for label, name in ((b"PING-CLAIM-TAP", "new_tap_key"), (b"PING-CLAIM-EID", "new_id_key")):
        assert hmac.digest(secret, label + transcript + b"\1", sha256)[:16] == known[name]


@pytest.mark.parametrize("vector", GOLDEN["refused_public_keys"], ids=lambda v: v["what"])
def test_a_public_key_that_leads_to_no_secret_is_refused_at_both_ends(vector: dict[str, Any]):
    weak = bytes.fromhex(vector["bytes"])
    with pytest.raises(ClaimError):
        claim.ring_keys(
            Challenge(nonce=bytes(8), hub_public_key=weak), ring_id=RING, key=KEY, private_key=OWN
        )
    proof = claim.prove(CHALLENGE, ring_id=RING, key=KEY, ring_public_key=weak, boot=1, seq=1)
    with pytest.raises(ClaimError):
        claim.hub_keys(proof, CHALLENGE, ring_id=RING, key=KEY, private_key=HUB)


def prove() -> bytes:
    proof = claim.prove(
        CHALLENGE, ring_id=RING, key=KEY, ring_public_key=claim.public_key(OWN), boot=3, seq=70
    )
    return claim.encode_proof(proof)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.req("RNG-05")
def test_no_bit_of_a_proof_may_differ():
    raw = prove()
    assert claim.verify(claim.decode_proof(raw), CHALLENGE, ring_id=RING, key=KEY)
    for bit in range(8 * len(raw)):
        changed = claim.decode_proof(flipped(raw, bit))
        assert not claim.verify(changed, CHALLENGE, ring_id=RING, key=KEY), bit


def test_a_proof_answers_one_challenge_of_one_ring_with_one_key():
    proof = claim.decode_proof(prove())
    asked = claim.encode_challenge(CHALLENGE)
    for bit in range(8 * len(asked)):
        other = claim.decode_challenge(flipped(asked, bit))
        assert not claim.verify(proof, other, ring_id=RING, key=KEY), bit
    assert not claim.verify(proof, CHALLENGE, ring_id=b"ring--ie", key=KEY)
    assert not claim.verify(proof, CHALLENGE, ring_id=RING, key=bytes(16))


def test_without_the_present_key_nobody_makes_a_ring_take_new_ones():
    stranger = claim.new_private_key()
    challenge = claim.new_challenge(stranger)
    public, keys = claim.ring_keys(challenge, ring_id=RING, key=KEY, private_key=OWN)
    proof = claim.prove(challenge, ring_id=RING, key=KEY, ring_public_key=public, boot=1, seq=1)
    guessed = claim.hub_keys(proof, challenge, ring_id=RING, key=bytes(16), private_key=stranger)
    assert guessed.tap_key != keys.tap_key
    assert guessed.id_key != keys.id_key


@given(st.binary(max_size=64))
def test_any_bytes_are_the_one_spelling_of_a_message_or_refused(data: bytes):
    for decode, encode in (
        (claim.decode_challenge, claim.encode_challenge),
        (claim.decode_proof, claim.encode_proof),
    ):
        try:
            value: Any = decode(data)
        except ClaimError:
            continue
        assert encode(value) == data


def test_a_proof_of_a_ring_that_never_started_is_refused():
    proof = claim.prove(
        CHALLENGE, ring_id=RING, key=KEY, ring_public_key=claim.public_key(OWN), boot=0, seq=0
    )
    assert not claim.verify(proof, CHALLENGE, ring_id=RING, key=KEY)


def test_messages_of_the_wrong_length_are_not_written():
    with pytest.raises(ClaimError):
        claim.encode_challenge(Challenge(nonce=b"short", hub_public_key=bytes(32)))
    proof = claim.decode_proof(prove())
    with pytest.raises(ClaimError):
        claim.encode_proof(claim.Proof(ring_public_key=b"", boot=1, seq=1, tag=proof.tag))
    with pytest.raises(ClaimError):
        claim.verify(proof, CHALLENGE, ring_id=b"short", key=KEY)
    with pytest.raises(ValueError, match="16 bytes"):
        claim.verify(proof, CHALLENGE, ring_id=RING, key=b"short")
