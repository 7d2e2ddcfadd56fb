"""The MQTT side of taps: reading events, writing end-to-end acknowledgements. No I/O."""

from collections.abc import Iterable, Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from core import edge
from core.edge import Ack, AckMessage, RejectCode, TapEvent
from firmware_bridge import tap
from hub.domains.gateways.schemas import Answer, Message
from hub.domains.taps.rules import refuse
from hub.domains.taps.schemas import Answered, Arrival, Refusal

# What is kept of a message that does not decode: enough to recognise it, too little to fill disks.
_KEPT_BYTES = 64
_RSSI_RANGE = range(-128, 128)


class _TapKey(edge.Payload, frozen=True, kw_only=True):
    """The fields that name a tap, read leniently so that even a broken event gets its answer."""

    ring: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    boot: edge.U32
    seq: edge.U32


def read_tap(message: Message) -> Arrival | Refusal | None:
    """Return the tap, why it is refused, or None when not even the topic makes sense."""
    address = _address(message.topic)
    if address is None:
        return None
    gateway_id, device_id = address
    try:
        event = edge.decode(message.payload, TapEvent)
        record = tap.decode(event.raw)
    except (edge.PayloadError, tap.TapError):
        return _unreadable(message, gateway_id, device_id)
    agree = (
        event.ring == device_id
        and (event.boot, event.seq) == (record.boot, record.seq)
        and (event.rssi is None or event.rssi in _RSSI_RANGE)
    )
    if not agree:
        return refuse(Arrival(gateway_id, event, record, message.received_ms), "malformed")
    return Arrival(gateway_id, event, record, message.received_ms)


def write_acks(verdicts: Iterable[Answered]) -> list[Answer]:
    """Return one message per gateway that covers all its taps; deferred ones by no range."""
    gateways: dict[UUID, dict[tuple[bytes, int], tuple[set[int], dict[int, RejectCode]]]] = {}
    for item in verdicts:
        if item.verdict == "untrusted":
            continue
        rings = gateways.setdefault(item.gateway_id, {})
        committed, refused = rings.setdefault((item.ring, item.boot), (set(), {}))
        if item.verdict == "committed":
            committed.add(item.seq)
        elif item.verdict != "deferred":
            refused[item.seq] = item.verdict
    return [
        Answer(
            edge.ack_topic(gateway_id),
            edge.encode(
                AckMessage(
                    acks=[
                        Ack(
                            ring=ring,
                            boot=boot,
                            sack=ranges(sorted(committed)),
                            # A tap that is in the database is not refused, whatever else came by.
                            rej=sorted(
                                (seq, reason)
                                for seq, reason in refused.items()
                                if seq not in committed
                            ),
                        )
                        for (ring, boot), (committed, refused) in rings.items()
                    ]
                )
            ),
        )
        for gateway_id, rings in gateways.items()
    ]


def ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _address(topic: str) -> tuple[UUID, bytes] | None:
    try:
        _, _, _, gateway, _, ring, _ = topic.split("/")
        gateway_id, device_id = UUID(gateway), bytes.fromhex(ring)
    except ValueError:
        return None
    # One spelling only, so that an acknowledgement reaches the topic that the gateway listens to.
    if len(device_id) != tap.RING_ID_BYTES or edge.tap_topic(gateway_id, device_id) != topic:
        return None
    return gateway_id, device_id


def _unreadable(message: Message, gateway_id: UUID, device_id: bytes) -> Refusal:
    try:
        key = edge.decode(message.payload, _TapKey)
        device_id, boot, seq = key.ring, key.boot, key.seq
    except edge.PayloadError:
        boot = seq = None
    return Refusal(
        gateway_id=gateway_id,
        reason="malformed",
        device_id=device_id,
        boot=boot,
        seq=seq,
        raw=message.payload[:_KEPT_BYTES],
    )
