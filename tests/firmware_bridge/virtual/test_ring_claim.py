"""A claim over the air: challenge, press, proof, confirmation, taps under the new key."""

from typing import Any

import pytest

from firmware_bridge import claim, gatt, tap
from firmware_bridge.virtual.ring import VirtualRing
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import eventually


async def rotate(listener: Listener, challenge: claim.Challenge) -> gatt.CtrlResult:
    return (await listener.ctrl(gatt.encode_ctrl(gatt.RotateKey(challenge)))).result


async def proof_of(listener: Listener) -> claim.Proof:
    return claim.decode_proof(bytes(await listener.client.read_gatt_char(gatt.PROOF)))


async def confirm(
    listener: Listener,
    ring: VirtualRing,
    challenge: claim.Challenge,
    hub_key: bytes,
) -> gatt.CtrlResult:
    proof = await proof_of(listener)
    ring_side = {"ring_id": ring.ring_id, "key": ring.key}
    assert claim.verify(proof, challenge, **ring_side)
    keys = claim.hub_keys(proof, challenge, private_key=hub_key, **ring_side)
    tag = claim.confirm(
        keys, challenge, ring_id=ring.ring_id, ring_public_key=proof.ring_public_key
    )
    return (await listener.ctrl(gatt.encode_ctrl(gatt.ConfirmKey(tag)))).result


@pytest.mark.req("RNG-05")
async def test_a_pressed_ring_proves_itself_and_taps_under_its_new_key(air: Any):
    ring = await air.ring(id_key=bytes(16))
    central = await air.central()
    hub_key = claim.new_private_key()
    challenge = claim.new_challenge(hub_key)
    old_key, old_id_key = ring.key, ring.id_key
    async with Listener(await find(central.scanner), central.client) as listener:
        assert await rotate(listener, challenge) == "press_first"
        pressed = await ring.press()
        assert await rotate(listener, challenge) == "ok"
        proof = await proof_of(listener)
        assert (proof.boot, proof.seq) == (pressed.boot, pressed.seq)
        assert ring.key == old_key
        assert await confirm(listener, ring, challenge, hub_key) == "ok"
        assert (ring.key, ring.id_key) != (old_key, old_id_key)
        await ring.press()
        await eventually(lambda: len(listener.raw) == 2, "the tap under the new key")
        assert tap.verify(listener.raw[0], ring_id=ring.ring_id, key=old_key)
        assert tap.verify(listener.raw[1], ring_id=ring.ring_id, key=ring.key)


async def test_a_ring_that_restarts_between_proof_and_confirmation_takes_the_confirmation(
    air: Any,
):
    ring = await air.ring()
    central = await air.central()
    hub_key = claim.new_private_key()
    challenge = claim.new_challenge(hub_key)
    async with Listener(await find(central.scanner), central.client) as listener:
        await ring.press()
        assert await rotate(listener, challenge) == "ok"
    await ring.reboot()
    async with Listener(await find(central.scanner), central.client) as listener:
        assert await rotate(listener, challenge) == "ok"  # answered before: no press needed
        assert await rotate(listener, claim.new_challenge(hub_key)) == "press_first"
        old_key = ring.key
        assert await confirm(listener, ring, challenge, hub_key) == "ok"
    assert ring.key != old_key
    await ring.reboot()
    assert ring.memory.slots.keys is not None
    assert ring.key == ring.memory.slots.keys.tap_key


async def test_an_old_press_does_not_count(air: Any):
    now = 1000.0
    ring = await air.ring(monotonic=lambda: now)
    central = await air.central()
    challenge = claim.new_challenge(claim.new_private_key())
    async with Listener(await find(central.scanner), central.client) as listener:
        await ring.press()
        now += claim.PRESS_SECONDS + 0.1
        assert await rotate(listener, challenge) == "press_first"


async def test_a_ring_refuses_what_is_no_confirmation_and_no_key(air: Any):
    ring = await air.ring()
    central = await air.central()
    async with Listener(await find(central.scanner), central.client) as listener:
        await ring.press()
        wrong = gatt.encode_ctrl(gatt.ConfirmKey(bytes(16)))
        assert (await listener.ctrl(wrong)).result == "refused"
        weak = claim.Challenge(nonce=bytes(8), hub_public_key=bytes(32))
        assert await rotate(listener, weak) == "malformed"
        assert await listener.client.read_gatt_char(gatt.PROOF) == b""
