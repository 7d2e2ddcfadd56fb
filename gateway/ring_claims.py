"""A gateway's part in the claim of a ring: it fetches the proof and brings the confirmation."""

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

from firmware_bridge import claim, gatt
from firmware_bridge.claim import Challenge, Proof
from gateway.rpc import RpcError

CONFIRMATIONS_MAX: Final = 64
PRESS_SECONDS: Final = 7.0
"""How long a press is waited for; the call must be answered within 10 s."""


class Ring(Protocol):
    """A standing connection to a ring."""

    pressed: asyncio.Event
    """Set by each tap."""

    async def command(self, command: gatt.Ctrl) -> gatt.CtrlReply:
        """Return the ring's answer to a command."""
        ...

    async def read_proof(self) -> bytes:
        """Return what PROOF holds."""
        ...


class Confirmations:
    """Confirmations that their rings have not got yet: brought as soon as the ring is there again.

    Forgotten at the end of the process: the hub asks again while a ring signs with its old key.
    """

    def __init__(self) -> None:
        self._tags: OrderedDict[bytes, bytes] = OrderedDict()

    def put(self, ring: bytes, tag: bytes) -> None:
        """Keep a ring's confirmation; the newest one counts, the oldest of too many goes."""
        self._tags[ring] = tag
        self._tags.move_to_end(ring)
        if len(self._tags) > CONFIRMATIONS_MAX:
            self._tags.popitem(last=False)

    def of(self, ring: bytes) -> bytes | None:
        """Return what waits for a ring."""
        return self._tags.get(ring)

    def done(self, ring: bytes, tag: bytes) -> None:
        """The ring has answered it."""
        if self._tags.get(ring) == tag:
            del self._tags[ring]


async def prove(ring: Ring, challenge: Challenge) -> Proof:
    """Return the ring's proof, waiting a while for a press; raises RpcError."""
    try:
        async with asyncio.timeout(PRESS_SECONDS):
            while True:
                ring.pressed.clear()
                reply = await ring.command(gatt.RotateKey(challenge))
                if reply.result != "press_first":
                    break
                await ring.command(gatt.Identify())  # it blinks, so that one sees which to press
                await ring.pressed.wait()
    except TimeoutError:
        raise RpcError("not_pressed") from None
    if reply.result != "ok":
        raise RpcError("failed")
    try:
        return claim.decode_proof(await ring.read_proof())
    except claim.ClaimError:
        raise RpcError("failed") from None


async def confirm(ring: Ring, tag: bytes) -> bool:
    """Bring a ring its confirmation; False: it is not the one that it waits for."""
    return (await ring.command(gatt.ConfirmKey(tag))).result == "ok"
