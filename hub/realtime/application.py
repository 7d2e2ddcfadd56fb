"""What the application behind the hub decides: who may connect and join, what can be called."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
from msgspec import Raw

from hub.realtime.codes import Error
from hub.realtime.protocol.messages import EMPTY
from hub.realtime.tokens.claims import ConnectClaims, SubscribeClaims


class ConnectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A connect command as the application sees it; `data` is whatever the client sent.

    `headers` have lower-case names, only those that `realtime.forwarded_headers` lets pass: the
    transport's, and below them what the client says in place of headers that it cannot set.
    """

    client_id: str
    data: Raw = EMPTY
    name: str = ""
    version: str = ""
    headers: Mapping[str, str] = {}
    transport: str = "websocket"
    framing: str = "json"


class ClientError(Exception):
    """The refusal of a remote procedure, told to the client as it is."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


RpcHandler = Callable[[ConnectClaims, Raw], Awaitable[bytes]]
"""Answers a call with JSON (or bytes of any kind for Protobuf clients), or raises ClientError."""
MessageHandler = Callable[[ConnectClaims, Raw], Awaitable[None]]
"""Takes data that a client sent without expecting an answer."""


class Application(Protocol):
    """What the hub asks. Any other exception than those named becomes a temporary error (100)."""

    @property
    def rpc(self) -> Mapping[str, RpcHandler]:
        """The remote procedures by name."""
        ...

    @property
    def on_message(self) -> MessageHandler | None:
        """Takes `send` commands; without it they close the connection (3508)."""
        ...

    async def verify_connection(self, token: str, request: ConnectionRequest) -> ConnectClaims:
        """Say who connects or renews a token.

        Raises TokenInvalidError, TokenExpiredError or ConnectionDeniedError. An empty token is an
        anonymous client: its claims have no user.
        """
        ...

    async def verify_subscription(self, token: str) -> SubscribeClaims:
        """Read a subscription token; raises TokenInvalidError or TokenExpiredError."""
        ...

    async def authorize(self, claims: ConnectClaims, channel: str) -> bool:
        """Say who may join a channel of a namespace that asks."""
        ...
