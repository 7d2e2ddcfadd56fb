"""How a virtual ring changes its keys: what it answers to the hub, on disk before it is told."""

import asyncio

from firmware_bridge import claim, gatt
from firmware_bridge.virtual import key_slots
from firmware_bridge.virtual.memory import Memory


async def answer(
    memory: Memory, challenge: claim.Challenge, *, ring_id: bytes, key: bytes, is_in_hand: bool
) -> gatt.CtrlResult:
    """Make the proof that PROOF then shows; `key` is the present K_tap."""
    slots = memory.slots
    if not (is_in_hand or key_slots.has_answered(slots, challenge)):
        return "press_first"
    try:
        answered = key_slots.answer(
            slots,
            challenge,
            ring_id=ring_id,
            key=key,
            private_key=claim.new_private_key(),
            boot=memory.boot,
            seq=memory.last_seq,
        )
    except claim.ClaimError:
        return "malformed"
    if answered is not slots:
        # On disk before anybody reads the proof: the hub may confirm it after a power cut.
        await asyncio.to_thread(memory.keep_slots, answered)
    return "ok"


async def take(memory: Memory, confirmation: bytes) -> gatt.CtrlResult:
    """Change to the keys that the hub confirms."""
    slots = memory.slots
    confirmed = key_slots.confirm(slots, confirmation)
    if confirmed is None:
        return "refused"
    if confirmed is not slots:
        await asyncio.to_thread(memory.keep_slots, confirmed)
    return "ok"


def proof(memory: Memory) -> bytes:
    """Return what a read of PROOF gives: nothing while no challenge waits for its confirmation."""
    pending = memory.slots.pending
    return b"" if pending is None else claim.encode_proof(pending.proof)
