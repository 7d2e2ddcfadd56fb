"""JSON framing: a transport frame is one or more JSON objects separated by line feeds."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from hub.realtime.broker import Publication
from hub.realtime.protocol import payload
from hub.realtime.protocol.framing import (
    COMMANDS_MAX,
    BinaryDataError,
    Framing,
    MalformedFrameError,
)
from hub.realtime.protocol.messages import (
    ClientInfo,
    Command,
    EmulationRequest,
    Int64,
    Message,
    PushReply,
    Reply,
)

_SEPARATOR: Final = b"\n"
# More than `payload.is_json` asks for: what comes as JSON is never taken for other bytes.
_SPARE_DEPTH: Final = 500
_MALFORMED: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


class _Emulation(Message):
    node: str = ""
    session: str = ""
    data: str = ""


_decoder = msgspec.json.Decoder(Command)
_emulation_decoder = msgspec.json.Decoder(_Emulation)
_encoder = msgspec.json.Encoder()


class _JsonFraming:
    """The port's functions; see there."""

    name = "json"
    is_binary = False
    ping = b"{}"

    def decode_commands(self, frame: str | bytes) -> list[Command]:
        try:
            data = (frame.encode() if isinstance(frame, str) else frame).strip()
            if not data.isascii():
                data.decode()  # nobody looks into what is passed on as it is
            lines = data.split(_SEPARATOR, COMMANDS_MAX)
            if len(lines) > COMMANDS_MAX:
                raise MalformedFrameError("too many commands")
            for line in lines:
                payload.require_depth(line, _SPARE_DEPTH)
            return [_decoder.decode(line) for line in lines]
        except _MALFORMED as error:
            raise MalformedFrameError(str(error)) from None

    def decode_emulation(self, body: bytes) -> EmulationRequest:
        try:
            request = _emulation_decoder.decode(body)
        except _MALFORMED as error:
            raise MalformedFrameError(str(error)) from None
        return EmulationRequest(
            node=request.node, session=request.session, data=request.data.encode()
        )

    def encode_reply(self, reply: Reply | PushReply) -> bytes:
        text = _encoder.encode(reply)
        if b"\n" in text or b"\r" in text:  # only between the tokens of a Raw field
            return msgspec.json.format(text, indent=-1)
        return text

    def join(self, messages: Iterable[bytes]) -> bytes:
        return _SEPARATOR.join(messages)

    def publication(
        self, publication: Publication, *, data: bytes | None = None, delta: bool = False
    ) -> Raw:
        text = _text(publication, data, delta=delta)
        if not publication.offset:
            return Raw(text)
        return Raw(b'%b,"offset":%d}' % (text[:-1], publication.offset))

    def push_prefix(self, channel: str) -> bytes:
        return b'{"push":{"channel":' + _encoder.encode(channel) + b',"pub":'

    def publication_push(
        self,
        prefix: bytes,
        publication: Publication,
        *,
        data: bytes | None = None,
        delta: bool = False,
    ) -> bytes:
        text, offset = publication.payload, publication.offset
        if data is not None or text.startswith(payload.BINARY):
            text = _text(publication, data, delta=delta)
        if not offset:
            return b"%b%b}}" % (prefix, text)
        return b'%b%b,"offset":%d}}}' % (prefix, text[:-1], offset)


JSON: Final[Framing] = _JsonFraming()


class _DeltaPublication(Message):
    data: str
    info: ClientInfo | None = None
    tags: Mapping[str, str] = {}
    delta: bool = False
    time: Int64 = 0


def _text(publication: Publication, data: bytes | None, *, delta: bool) -> bytes:
    """Return a publication without offset; with deltas its data is a JSON string, even if whole."""
    if payload.is_binary(publication.payload):
        raise BinaryDataError
    if data is None:
        return publication.payload
    item = payload.decode(publication.payload)
    return _encoder.encode(
        _DeltaPublication(
            data=data.decode(), info=item.info, tags=item.tags, delta=delta, time=item.time
        )
    )


def encode_info(info: ClientInfo) -> bytes:
    """Return the object by which a stored publication names its author."""
    return _encoder.encode(info)
