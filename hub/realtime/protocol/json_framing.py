"""JSON framing: a transport frame is one or more JSON objects separated by line feeds.

Sans-I/O. Protobuf framing will stand beside this module with the same functions.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from hub.realtime.broker import Publication
from hub.realtime.protocol.messages import Command, PushReply, Reply

PING: Final = b"{}"
_SEPARATOR: Final = b"\n"
_decoder = msgspec.json.Decoder(Command)
_encoder = msgspec.json.Encoder()


class MalformedFrameError(Exception):
    """The frame is not a sequence of commands."""


def decode_commands(frame: str | bytes) -> list[Command]:
    """Read the commands of a frame, or raise MalformedFrameError; an empty frame is malformed."""
    try:
        data = frame.encode() if isinstance(frame, str) else frame
        return [_decoder.decode(line) for line in data.strip().split(_SEPARATOR)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedFrameError(str(error)) from None


def encode_reply(reply: Reply | PushReply) -> bytes:
    """Encode one reply."""
    return _encoder.encode(reply)


def encode_publication(publication: Publication) -> msgspec.Raw:
    """Return a publication as it stands in replies: the stored object with its offset."""
    if not publication.offset:
        return msgspec.Raw(publication.payload)
    return msgspec.Raw(b'%b,"offset":%d}' % (publication.payload[:-1], publication.offset))


def client_info(user: str, client_id: str) -> bytes:
    """Return the object by which a publication names its author."""
    return _encoder.encode({"user": user, "client": client_id})


def push_prefix(channel: str) -> bytes:
    """Return the part of a publication's push that is the same for a whole channel."""
    return b'{"push":{"channel":' + _encoder.encode(channel) + b',"pub":'


def publication_push(prefix: bytes, publication: Publication) -> bytes:
    """Return the frame of one publication, the same bytes for every subscriber."""
    if not publication.offset:
        return b"%b%b}}" % (prefix, publication.payload)
    return b'%b%b,"offset":%d}}}' % (prefix, publication.payload[:-1], publication.offset)


def join(messages: Iterable[bytes]) -> bytes:
    """Put encoded messages into one transport frame."""
    return _SEPARATOR.join(messages)
