"""The framing port: how messages become bytes and frames become commands.

Its values: `json_framing.JSON` and `protobuf_framing.PROTOBUF`.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Raw

from hub.realtime.broker import Publication
from hub.realtime.protocol.messages import Command, EmulationRequest, PushReply, Reply

COMMANDS_MAX: Final = 4096
"""How many commands a frame may carry: each costs far more than the one byte that it may have."""


class MalformedFrameError(Exception):
    """The frame is not a sequence of commands, or of too many."""


class BinaryDataError(Exception):
    """The publication's data is no JSON, so a JSON client cannot be given it."""


class Framing(Protocol):
    """One format of the client protocol, without state."""

    @property
    def name(self) -> str:
        """The format as metrics and logs call it."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether transport frames are bytes, not text."""
        ...

    @property
    def ping(self) -> bytes:
        """The message that asks for a pong."""
        ...

    def decode_commands(self, frame: str | bytes) -> list[Command]:
        """Read a transport frame, or raise MalformedFrameError; an empty one is malformed."""
        ...

    def decode_emulation(self, body: bytes) -> EmulationRequest:
        """Read the body of an emulated frame, or raise MalformedFrameError."""
        ...

    def encode_reply(self, reply: Reply | PushReply) -> bytes:
        """Encode one message, ready to be joined."""
        ...

    def join(self, messages: Iterable[bytes]) -> bytes:
        """Put encoded messages (at least one) into one transport frame.

        Only this makes a frame: a message alone need not be one.
        """
        ...

    def publication(
        self, publication: Publication, *, data: bytes | None = None, delta: bool = False
    ) -> Raw:
        """Return a publication as it stands inside results, or raise BinaryDataError.

        `data` is what a subscription with deltas gets instead of the stored data: a patch when
        `delta`, else the whole.
        """
        ...

    def push_prefix(self, channel: str) -> bytes:
        """Return the part of a publication's push that is the same for a whole channel."""
        ...

    def publication_push(
        self,
        prefix: bytes,
        publication: Publication,
        *,
        data: bytes | None = None,
        delta: bool = False,
    ) -> bytes:
        """Return the message of one publication, the same bytes for every subscriber.

        Raises BinaryDataError; `data` and `delta` as for `publication`.
        """
        ...
