"""permessage-deflate without context takeover (RFC 7692): every message stands for itself.

So one compressed frame serves all subscribers, and no connection keeps a window of its own.
"""

import zlib
from typing import Final

_RAW: Final = -15
# What ends a block that was flushed; it is left out on the wire.
_TAIL: Final = b"\x00\x00\xff\xff"


def deflate(payload: bytes) -> bytes:
    """Return the compressed payload of one message."""
    packer = zlib.compressobj(wbits=_RAW)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def inflate(payload: bytes, max_bytes: int) -> bytes | None:
    """Return the message, None when it is longer than allowed, or raise ValueError if broken."""
    unpacker = zlib.decompressobj(wbits=_RAW)
    try:
        message = unpacker.decompress(payload + _TAIL, max_bytes + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return message if len(message) <= max_bytes else None
