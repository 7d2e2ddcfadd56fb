"""Claims, releases, lost messages and power cuts in any order: the ring can be verified."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from firmware_bridge import claim
from firmware_bridge.claim import Challenge, Proof
from firmware_bridge.virtual import key_slots
from firmware_bridge.virtual.key_slots import KeySlots
from hub.domains.claims import rules

RING = b"ring--id"


class Rotation(RuleBasedStateMachine):
    """A ring, the hub's row of it, and an air in which every message may wait, come twice or never.

    What ring and hub hold is what they have written durably: a power cut between two rules is the
    same as none, so every order of rules is one with power cuts too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key = bytes(range(16))
        self.slots = KeySlots()
        self.seq = 1
        self.tap_key: bytes = self.key
        self.next_key: bytes | None = None
        self.is_claimed = False
        self.owner = 0
        self.claims: list[tuple[int, Challenge, bytes]] = []
        self.proofs: list[tuple[int, Proof]] = []
        self.confirmations: list[bytes] = []

    @property
    def ring_key(self) -> bytes:
        return self.key if self.slots.keys is None else self.slots.keys.tap_key

    @rule()
    def begin(self) -> None:
        private = claim.new_private_key()
        self.claims.append((self.owner, claim.new_challenge(private), private))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def challenge(self, data: Any) -> None:
        number = data.draw(st.integers(0, len(self.claims) - 1))
        self.seq += 1
        self.slots = key_slots.answer(
            self.slots,
            self.claims[number][1],
            ring_id=RING,
            key=self.ring_key,
            private_key=claim.new_private_key(),
            boot=1,
            seq=self.seq,
        )
        assert self.slots.pending is not None
        self.proofs.append((number, self.slots.pending.proof))

    @precondition(lambda self: self.proofs)
    @rule(data=st.data())
    def prove(self, data: Any) -> None:
        number, proof = data.draw(st.sampled_from(self.proofs))
        owner, challenge, private = self.claims[number]
        # What the statements of a claim ask for: the row is unclaimed, and the one it began with.
        if self.is_claimed or owner != self.owner:
            return
        won = rules.judge(
            proof,
            challenge,
            ring_id=RING,
            private_key=private,
            tap_key=self.tap_key,
            next_tap_key=self.next_key,
        )
        if won is None:
            return
        if won.by_next:
            assert self.next_key is not None
            self.tap_key = self.next_key
        self.next_key = won.keys.tap_key
        self.is_claimed = True
        self.confirmations.append(won.confirmation)

    @precondition(lambda self: self.confirmations)
    @rule(data=st.data())
    def confirm(self, data: Any) -> None:
        confirmed = key_slots.confirm(self.slots, data.draw(st.sampled_from(self.confirmations)))
        if confirmed is not None:
            self.slots = confirmed

    @precondition(lambda self: self.is_claimed)
    @rule()
    def tap(self) -> None:
        if self.ring_key == self.next_key:
            self.tap_key, self.next_key = self.next_key, None

    @precondition(lambda self: self.is_claimed)
    @rule()
    def release(self) -> None:
        self.owner += 1
        self.is_claimed = False

    @invariant()
    def the_hub_can_verify_the_ring(self) -> None:
        assert self.ring_key in (self.tap_key, self.next_key)


def test_the_hub_can_verify_the_ring_whatever_happens() -> None:
    run_state_machine_as_test(
        Rotation, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
