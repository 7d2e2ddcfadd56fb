"""The MQTT side of reads: taking messages apart, writing acknowledgements. No I/O."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

import msgspec

from core import edge
from core.edge import DEFERRED, AckMessage, TagRead
from hub.domains.gateways.schemas import Answer, Message
from hub.domains.reads.schemas import ReadAnswered, ReadArrival, ReadRefusal

# What is kept of a message that does not decode: enough to recognise it, too little to fill disks.
_KEPT_BYTES: Final = 64


class _ReadKey(edge.Payload, frozen=True, kw_only=True):
    """What names a read, taken leniently so that even a broken one gets its answer."""

    id: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


def read_read(message: Message) -> ReadArrival | ReadRefusal | None:
    """Return the read, why it is refused, or None when not even the topic makes sense."""
    gateway_id = _gateway(message.topic)
    if gateway_id is None:
        return None
    try:
        read = edge.decode(message.payload, TagRead)
    except edge.PayloadError:
        return ReadRefusal(
            gateway_id, "malformed", _key(message.payload), message.payload[:_KEPT_BYTES]
        )
    return ReadArrival(gateway_id, read, message.received_ms)


def write_read_acks(verdicts: Iterable[ReadAnswered]) -> list[Answer]:
    """Return one message per gateway that covers all its reads."""
    gateways: dict[UUID, dict[bytes, str]] = {}
    for item in verdicts:
        if item.verdict == "untrusted":
            continue
        codes = gateways.setdefault(item.gateway_id, {})
        code = {"committed": "", "deferred": DEFERRED}.get(item.verdict, item.verdict)
        # Of two verdicts on one id, the one that speaks of a row is the one that holds.
        codes[item.read_id] = code and codes.get(item.read_id, code)
    return [
        Answer(edge.ack_topic(gateway_id), edge.encode(AckMessage(reads=list(codes.items()))))
        for gateway_id, codes in gateways.items()
    ]


def _gateway(topic: str) -> UUID | None:
    try:
        _, _, _, gateway, _, reader, _ = topic.split("/")
        gateway_id = UUID(gateway)
    except ValueError:
        return None
    # One spelling only, so that an acknowledgement reaches the topic that the gateway listens to.
    return gateway_id if edge.read_topic(gateway_id, reader) == topic else None


def _key(payload: bytes) -> bytes | None:
    try:
        return edge.decode(payload, _ReadKey).id
    except edge.PayloadError:
        return None
