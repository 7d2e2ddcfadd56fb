"""A gateway's part in the claim of a ring, over a link without hardware."""

import asyncio
from typing import Any

import pytest

from core import edge
from core.edge import RpcReply, RpcRequest
from firmware_bridge import claim
from firmware_bridge.claim import Proof
from firmware_bridge.virtual.ring import VirtualRing
from gateway import ble, ring_claims
from gateway.radio import Radio
from gateway.recent_log import RecentLog
from gateway.ring_claims import CONFIRMATIONS_MAX, Confirmations
from gateway.rpc import Rpc
from gateway.rpc_methods import methods_of
from tests.fixtures.rings import Air, eventually
from tests.gateway.test_radio import Hall, live, running


class Claimer:
    """The hub's side of one claim."""

    def __init__(self, ring: VirtualRing) -> None:
        self._ring = ring
        self._key = claim.new_private_key()
        self.challenge = claim.new_challenge(self._key)

    @property
    def asked(self) -> dict[str, Any]:
        return {
            "ring": self._ring.ring_id,
            "nonce": self.challenge.nonce,
            "hub_public_key": self.challenge.hub_public_key,
        }

    def confirmation(self, answer: dict[str, Any]) -> bytes:
        proof = Proof(**answer)
        side = {"ring_id": self._ring.ring_id, "key": self._ring.key}
        assert claim.verify(proof, self.challenge, **side)
        keys = claim.hub_keys(proof, self.challenge, private_key=self._key, **side)
        return claim.confirm(
            keys,
            self.challenge,
            ring_id=self._ring.ring_id,
            ring_public_key=proof.ring_public_key,
        )


@pytest.fixture
def hall(air: Air, monkeypatch) -> Hall:
    found = Hall(air)
    monkeypatch.setattr(ble, "open_adapter", found.open_adapter)
    return found


async def call(radio: Radio, method: str, **args: Any) -> RpcReply:
    rpc = Rpc(methods_of(radio, RecentLog()))
    reply = await rpc.answer(method, edge.encode(RpcRequest(id=b"1", args=args)))
    assert reply is not None
    return reply


@pytest.mark.req("RNG-03")
async def test_a_ring_that_is_pressed_is_claimed_through_a_gateway(hall):
    ring = await hall.air.ring()
    claimer = Claimer(ring)
    old_key = ring.key
    async with running("one") as (radio, _):
        await eventually(lambda: live(radio) == 1, "the ring to be live")
        asking = asyncio.create_task(call(radio, "prove", **claimer.asked))
        await eventually(lambda: ring.identified, "the ring to blink")
        await ring.press()
        proved = await asking
        assert proved.code == ""
        tag = claimer.confirmation(proved.result)
        assert (await call(radio, "confirm", ring=ring.ring_id, tag=tag)).code == ""
        assert ring.key != old_key
        # The answer was lost: the same again is answered again.
        assert (await call(radio, "confirm", ring=ring.ring_id, tag=tag)).code == ""


async def test_a_ring_that_nobody_presses_is_not_claimed(hall, monkeypatch):
    monkeypatch.setattr(ring_claims, "PRESS_SECONDS", 0.2)
    ring = await hall.air.ring()
    async with running("one") as (radio, _):
        await eventually(lambda: live(radio) == 1, "the ring to be live")
        reply = await call(radio, "prove", **Claimer(ring).asked)
        assert reply.code == "not_pressed"
    assert ring.memory.slots.pending is None


async def test_a_confirmation_waits_for_a_ring_that_is_away(hall):
    ring = await hall.air.ring()
    claimer = Claimer(ring)
    old_key = ring.key
    async with running("one") as (radio, _):
        await eventually(lambda: live(radio) == 1, "the ring to be live")
        await ring.press()
        proved = await call(radio, "prove", **claimer.asked)
        tag = claimer.confirmation(proved.result)
        await ring.stop()
        hall.centrals["one"].controller.lose_links()
        await eventually(lambda: live(radio) == 0, "the ring to be missed")
        reply = await call(radio, "confirm", ring=ring.ring_id, tag=tag)
        assert reply.code == "not_connected"
        await ring.start()
        await eventually(lambda: ring.key != old_key, "the confirmation", 15)
        await eventually(
            lambda: radio.confirmations.of(ring.ring_id) is None, "the end of the errand"
        )


async def test_what_cannot_be_done_has_its_code(hall):
    ring = await hall.air.ring()
    asked = Claimer(ring).asked
    async with running("one") as (radio, _):
        await eventually(lambda: live(radio) == 1, "the ring to be live")
        codes = [
            (await call(radio, method, **args)).code
            for method, args in (
                ("prove", asked | {"ring": bytes(8)}),
                ("prove", asked | {"nonce": b"short"}),
                ("prove", {"ring": ring.ring_id}),
                ("confirm", {"ring": ring.ring_id, "tag": bytes(15)}),
                ("confirm", {"ring": ring.ring_id, "tag": bytes(16)}),
            )
        ]
        assert codes == ["not_connected", "malformed", "malformed", "malformed", "failed"]
        await ring.press()
        weak = await call(radio, "prove", **asked | {"hub_public_key": bytes(32)})
        assert weak.code == "failed"


def test_only_so_many_confirmations_wait_and_the_newest_counts():
    waiting = Confirmations()
    for number in range(CONFIRMATIONS_MAX + 1):
        waiting.put(number.to_bytes(8), b"first")
    assert waiting.of((0).to_bytes(8)) is None
    last = CONFIRMATIONS_MAX.to_bytes(8)
    waiting.put(last, b"second")
    waiting.done(last, b"first")
    assert waiting.of(last) == b"second"
    waiting.done(last, b"second")
    assert waiting.of(last) is None
