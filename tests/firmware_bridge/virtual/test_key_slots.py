"""A ring's keys through a claim: whatever is cut off or repeated, the hub can verify the ring."""

import os
from pathlib import Path

import pytest

from firmware_bridge import claim
from firmware_bridge.claim import Challenge, ClaimError
from firmware_bridge.virtual import key_slots
from firmware_bridge.virtual.key_slots import KeySlots
from firmware_bridge.virtual.memory import Memory

RING, KEY = b"ring--id", bytes(range(16))


def answered(slots: KeySlots, challenge: Challenge) -> KeySlots:
    key = KEY if slots.keys is None else slots.keys.tap_key
    return key_slots.answer(
        slots,
        challenge,
        ring_id=RING,
        key=key,
        private_key=claim.new_private_key(),
        boot=1,
        seq=5,
    )


def confirmation(hub_key: bytes, challenge: Challenge, slots: KeySlots) -> bytes:
    """Return what the hub says after it has checked and stored everything."""
    assert slots.pending is not None
    proof = slots.pending.proof
    assert claim.verify(proof, challenge, ring_id=RING, key=KEY)
    keys = claim.hub_keys(proof, challenge, ring_id=RING, key=KEY, private_key=hub_key)
    return claim.confirm(keys, challenge, ring_id=RING, ring_public_key=proof.ring_public_key)


def test_a_ring_changes_its_keys_when_the_hub_confirms():
    hub_key = claim.new_private_key()
    challenge = claim.new_challenge(hub_key)
    pending = answered(KeySlots(), challenge)
    assert pending.keys is None
    tag = confirmation(hub_key, challenge, pending)
    confirmed = key_slots.confirm(pending, tag)
    assert confirmed is not None
    assert confirmed.keys is not None
    assert confirmed.pending is None
    # The answer was lost: the same again is answered again, and changes nothing.
    assert key_slots.confirm(confirmed, tag) is confirmed


def test_the_same_challenge_has_the_same_proof():
    challenge = claim.new_challenge(claim.new_private_key())
    pending = answered(KeySlots(), challenge)
    assert answered(pending, challenge) is pending


def test_a_newer_challenge_ends_an_unfinished_claim_and_leaves_the_keys():
    hub_key = claim.new_private_key()
    first, second = claim.new_challenge(hub_key), claim.new_challenge(claim.new_private_key())
    before = answered(KeySlots(), first)
    tag = confirmation(hub_key, first, before)
    after = answered(before, second)
    assert key_slots.confirm(after, tag) is None
    assert after.keys is None


def test_no_other_confirmation_is_taken():
    hub_key = claim.new_private_key()
    challenge = claim.new_challenge(hub_key)
    pending = answered(KeySlots(), challenge)
    tag = confirmation(hub_key, challenge, pending)
    for bit in range(8 * len(tag)):
        changed = bytearray(tag)
        changed[bit // 8] ^= 1 << bit % 8
        assert key_slots.confirm(pending, bytes(changed)) is None, bit
    assert key_slots.confirm(KeySlots(), tag) is None
    assert key_slots.confirm(KeySlots(), b"") is None


def test_a_weak_challenge_changes_nothing():
    with pytest.raises(ClaimError):
        answered(KeySlots(), Challenge(nonce=bytes(8), hub_public_key=bytes(32)))


def states_after_power_loss(path: Path, before: int) -> list[KeySlots]:
    """Return what the ring has when the power goes after each byte of the last write."""
    whole = path.read_bytes()
    found: list[KeySlots] = []
    for length in range(before, len(whole) + 1):
        torn = path.with_suffix(".torn")
        torn.write_bytes(whole[:length])
        memory = Memory(torn)
        found.append(memory.slots)
        memory.close()
    return found


def test_power_lost_at_any_byte_leaves_the_old_keys_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What is cut off here is cut by hand: waiting for the disk a thousand times proves nothing.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    hub_key = claim.new_private_key()
    challenge = claim.new_challenge(hub_key)
    pending = answered(KeySlots(), challenge)
    confirmed = key_slots.confirm(pending, confirmation(hub_key, challenge, pending))
    assert confirmed is not None
    path = tmp_path / "ring.nvm"
    memory = Memory(path)
    had = KeySlots()
    for slots in (pending, confirmed):
        before = path.stat().st_size
        memory.keep_slots(slots)
        states = states_after_power_loss(path, before)
        assert states[0] == had
        assert states[-1] == slots
        assert all(state in (had, slots) for state in states)
        had = slots
    memory.close()


def test_keys_survive_restarts_and_the_tidying_of_the_memory(tmp_path: Path):
    challenge = claim.new_challenge(claim.new_private_key())
    memory = Memory(tmp_path / "ring.nvm")
    pending = answered(memory.slots, challenge)
    memory.keep_slots(pending)
    memory.close()
    for _ in range(2):
        memory = Memory(tmp_path / "ring.nvm")
        assert memory.slots == pending
        memory.close()
