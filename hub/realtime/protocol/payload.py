"""The stored form of a publication: one JSON object, the same for every format of its readers."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw

from hub.realtime.broker import NO_TAGS
from hub.realtime.protocol.messages import EMPTY, ClientInfo, Int64

DataFormat = Literal["", "json", "json_object", "binary"]


BINARY: Final = b'{"b64data"'
"""How a publication begins that a JSON client cannot be given."""
_TIME: Final = b',"time":'
# Parsers give up at some depth, which depends on how deep their caller is: what is read here has
# to be readable at every later place, too.
_SPARE_DEPTH: Final = 400
_SHALLOW_BRACKETS: Final = 64
# Digits of 64 bits, and what is around them.
_TIME_MAX_BYTES: Final = 19 + 9


class Payload(msgspec.Struct, kw_only=True):
    """A publication without its offset. Data that is no JSON stands in `b64data` instead."""

    data: Raw = EMPTY
    b64data: bytes = b""
    info: ClientInfo | None = None
    tags: Mapping[str, str] = NO_TAGS
    time: Int64 = 0
    """Unix time in milliseconds."""

    @property
    def content(self) -> bytes:
        """The data as the publisher gave it."""
        return bytes(self.data) or self.b64data


decode: Final = msgspec.json.Decoder(Payload).decode


def time_of(payload: bytes) -> int:
    """Return when a publication was published, in milliseconds of Unix time; 0 when it is not told.

    It is the last field of what a broker stores, so that nothing else has to be read.
    """
    head, found, number = payload[-_TIME_MAX_BYTES:].rpartition(_TIME)
    del head
    number = number.removesuffix(b"}")
    return int(number) if found and number.isdigit() else 0


def is_json(data: bytes) -> bool:
    """Whether data can be stored, and given to JSON clients, as it is."""
    try:
        require_depth(data, _SPARE_DEPTH)
        msgspec.json.decode(data, type=Raw)
        data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def require_depth(text: bytes, spare: int) -> None:
    """Raise RecursionError for a JSON text that is nested so deep that less than `spare` is left.

    Other texts may raise DecodeError.
    """
    if text.count(b"[") + text.count(b"{") > _SHALLOW_BRACKETS:
        msgspec.json.decode(b"%b%b%b" % (b"[" * spare, text, b"]" * spare), type=Raw)


def fits(data: bytes, wanted: DataFormat) -> bool:
    """Whether a namespace's `publication_data_format` lets a client publish the data."""
    match wanted:
        case "":
            return bool(data)
        case "binary":
            return True
        case "json":
            return is_json(data)
        case "json_object":
            return data.lstrip()[:1] == b"{" and is_json(data)


def is_binary(payload: bytes) -> bool:
    """Whether a JSON client cannot be given this publication."""
    return payload.startswith(BINARY)
