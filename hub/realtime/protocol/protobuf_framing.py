"""Protobuf framing: a transport frame is messages, each after its length as an unsigned varint.

Structs and Protobuf messages are converted field by field, by name (client.proto).
"""

from collections.abc import Iterable, Mapping
from typing import Final, cast

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage
from msgspec import Raw

from hub.realtime.broker import Publication
from hub.realtime.protocol import client_pb2, payload
from hub.realtime.protocol.framing import COMMANDS_MAX, Framing, MalformedFrameError
from hub.realtime.protocol.messages import Command, EmulationRequest, Message, PushReply, Reply

_VARINT_MAX_BYTES: Final = 10
_MORE: Final = 0x80
# Field 4, a message: `push` in Reply and `pub` in Push.
_FIELD_4: Final = b"\x22"
_CHANNEL: Final = b"\x12"


class _ProtobufFraming:
    """The port's functions; see there. Messages carry their length, so joining them is cheap."""

    name = "protobuf"
    is_binary = True
    ping = b"\x00"

    def decode_commands(self, frame: str | bytes) -> list[Command]:
        if isinstance(frame, str) or not frame:
            raise MalformedFrameError("not a Protobuf frame")
        commands: list[Command] = []
        place = 0
        while place < len(frame):
            if len(commands) == COMMANDS_MAX:
                raise MalformedFrameError("too many commands")
            length, place = _uvarint(frame, place)
            if length > len(frame) - place:
                raise MalformedFrameError("a message ends beyond its frame")
            commands.append(_decode_command(frame[place : place + length]))
            place += length
        return commands

    def decode_emulation(self, body: bytes) -> EmulationRequest:
        try:
            request = client_pb2.EmulationRequest.FromString(body)
        except DecodeError as error:
            raise MalformedFrameError(str(error)) from None
        return EmulationRequest(node=request.node, session=request.session, data=request.data)

    def encode_reply(self, reply: Reply | PushReply) -> bytes:
        message = client_pb2.Reply()
        _fill(message, reply)
        return _delimited(message.SerializeToString())

    def join(self, messages: Iterable[bytes]) -> bytes:
        return b"".join(messages)

    def publication(
        self, publication: Publication, *, data: bytes | None = None, delta: bool = False
    ) -> Raw:
        return Raw(_publication(publication, data, delta=delta))

    def push_prefix(self, channel: str) -> bytes:
        return _CHANNEL + _delimited(channel.encode())

    def publication_push(
        self,
        prefix: bytes,
        publication: Publication,
        *,
        data: bytes | None = None,
        delta: bool = False,
    ) -> bytes:
        pub = _publication(publication, data, delta=delta)
        return _delimited(_FIELD_4 + _delimited(prefix + _FIELD_4 + _delimited(pub)))


PROTOBUF: Final[Framing] = _ProtobufFraming()


def _publication(publication: Publication, data: bytes | None, *, delta: bool) -> bytes:
    stored = payload.decode(publication.payload)
    message = client_pb2.Publication(
        data=stored.content if data is None else data,
        offset=publication.offset,
        tags=stored.tags,
        delta=delta,
        time=stored.time,
    )
    if info := stored.info:
        message.info.user = info.user
        message.info.client = info.client
        message.info.conn_info = bytes(info.conn_info)
        message.info.chan_info = bytes(info.chan_info)
    return message.SerializeToString()


def _decode_command(data: bytes) -> Command:
    try:
        message = client_pb2.Command.FromString(data)
        return msgspec.convert(_values(message), Command)
    except (DecodeError, msgspec.ValidationError) as error:
        raise MalformedFrameError(str(error)) from None


def _values(message: ProtobufMessage) -> dict[str, object]:
    """Return the fields that are set, in the types that the Structs are converted from."""
    return {field.name: _value(value) for field, value in message.ListFields()}


def _value(value: object) -> object:
    match value:
        case str() | int():
            return value
        case bytes():
            return Raw(value)
        case ProtobufMessage():
            return _values(value)
        case Mapping():
            entries = cast("Mapping[str, object]", value)
            return {key: _value(entries[key]) for key in entries}
        case _:
            return [_value(item) for item in cast("Iterable[object]", value)]


def _fill(message: ProtobufMessage, source: Message) -> None:
    """Set the fields of a message to those of a Struct."""
    message.SetInParent()  # a result without fields is a result, too
    for name in source.__struct_fields__:
        value: object = getattr(source, name)
        if not value:
            continue  # zero values are not sent
        match value:
            case str() | int():
                setattr(message, name, value)
            case Message():
                _fill(getattr(message, name), value)
            case Raw():
                setattr(message, name, bytes(value))
            case list():
                field = getattr(message, name)
                for publication in cast("list[Raw]", value):
                    field.add().MergeFromString(bytes(publication))
            case _:
                field = getattr(message, name)
                for key, entry in cast("dict[str, Message]", value).items():
                    _fill(field[key], entry)


def _uvarint(data: bytes, place: int) -> tuple[int, int]:
    """Read a number; return it and the place after it."""
    number = 0
    for count in range(_VARINT_MAX_BYTES):
        if place + count >= len(data):
            break
        byte = data[place + count]
        number |= (byte & 0x7F) << (7 * count)
        if byte < _MORE:
            return number, place + count + 1
    raise MalformedFrameError("a length does not end")


def _delimited(data: bytes) -> bytes:
    """Return the data after its length."""
    length = len(data)
    if length < _MORE:
        return b"%c%b" % (length, data)
    prefix = bytearray()
    while length >= _MORE:
        prefix.append(length & 0x7F | _MORE)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data
