"""Messages as finished websocket frames, the same bytes for however many sockets."""

from collections.abc import Sequence

from hub.realtime.protocol.framing import Framing
from hub.realtime.websocket import frames


def prepare(framing: Framing, messages: Sequence[bytes], *, deflated: bool = False) -> bytes:
    """Return the frame that carries the messages to a client of the framing."""
    opcode = frames.BINARY if framing.is_binary else frames.TEXT
    data = framing.join(messages)
    return frames.encode_deflated(opcode, data) if deflated else frames.encode(opcode, data)


def prepare_one(framing: Framing, message: bytes, *, deflated: bool) -> bytes:
    """Return what `prepare` makes of one message; every publication passes here."""
    if deflated or framing.is_binary:
        return prepare(framing, (message,), deflated=deflated)
    return frames.encode_text(message)
