"""One connection to Redis: RESP over an asyncio protocol, every call pipelined with a deadline.

A command is written once. When its answer does not come in time the connection is given up, and all
calls under way fail with `BrokerUnavailableError`: repeating them is the caller's decision, because
only the caller knows whether that is harmless.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
import msgspec

from core import clock
from core.errors import ConfigError
from hub.realtime.broker import BrokerUnavailableError

Reply = Any
"""What hiredis returns: bytes, int, None, a list of these, or a ReplyError."""
OnPush = Callable[[list[Reply]], None]

_WATCH_SECONDS: Final = 0.1


class RedisAddress(msgspec.Struct, frozen=True):
    """Where a Redis is and how to sign in; `repr` never shows the password."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    tls: bool = False

    def __repr__(self) -> str:
        return f"RedisAddress({self.path or f'{self.host}:{self.port}'}/{self.database})"


def parse_address(url: str) -> RedisAddress:
    """Read `redis://`, `rediss://` or `unix://`, or raise ConfigError."""
    parts = urlsplit(url)
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    try:
        if parts.scheme == "unix":
            database = int(parse_qs(parts.query).get("db", ["0"])[0])
            return RedisAddress(
                path=unquote(parts.path), username=username, password=password, database=database
            )
        if parts.scheme in ("redis", "rediss") and parts.hostname:
            return RedisAddress(
                host=parts.hostname,
                port=parts.port or 6379,
                username=username,
                password=password,
                database=int(parts.path.strip("/") or "0"),
                tls=parts.scheme == "rediss",
            )
    except ValueError:
        pass
    raise ConfigError("redis.url must look like redis://[user:password@]host:port/0")


class RedisLink(asyncio.Protocol):
    """A connection in use; `closed` is set when it is gone, for whatever reason."""

    def __init__(self, deadline_seconds: float) -> None:
        self.closed = asyncio.Event()
        self.last_reply_at = clock.monotonic_seconds()
        self._deadline_seconds = deadline_seconds
        self._on_push: OnPush | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[float, asyncio.Future[Reply]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, address: RedisAddress, deadline_seconds: float) -> "RedisLink":
        """Connect and sign in within the deadline, or raise BrokerUnavailableError."""
        link = cls(deadline_seconds)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(deadline_seconds):
                if address.path:
                    await loop.create_unix_connection(lambda: link, address.path)
                else:
                    await loop.create_connection(
                        lambda: link,
                        address.host,
                        address.port,
                        ssl=ssl.create_default_context() if address.tls else None,
                    )
                if address.password:
                    name = (address.username,) if address.username else ()
                    await link.call("AUTH", *name, address.password)
                if address.database:
                    await link.call("SELECT", str(address.database))
                await link.ping()
        except (OSError, TimeoutError, hiredis.HiredisError) as error:
            link.abort()
            # The text of an error may quote the command, and a command may hold the password.
            raise BrokerUnavailableError(type(error).__name__) from None
        except BaseException:
            link.abort()
            raise
        return link

    def call(self, *command: str | bytes | int) -> "asyncio.Future[Reply]":
        """Send one command; the future fails with ReplyError or BrokerUnavailableError."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._expect(future):
            self.send(*command)
        return future

    def call_many(
        self, commands: list[tuple[str | bytes | int, ...]]
    ) -> "list[asyncio.Future[Reply]]":
        """Send commands in one write; one future each, in order."""
        futures = [asyncio.get_running_loop().create_future() for _ in commands]
        expected = [self._expect(future) for future in futures]
        if all(expected) and self._transport:
            self._transport.write(b"".join(map(_pack, commands)))
        return futures

    def listen(self, on_push: OnPush) -> None:
        """Use the connection for subscriptions from now on: only `send` and `ping` remain."""
        self._on_push = on_push

    def ping(self) -> "asyncio.Future[Reply]":
        """Ask for a sign of life; also works between subscriptions."""
        return self.call("PING")

    def send(self, *command: str | bytes | int) -> None:
        """Send a command whose answers come as pushes (SUBSCRIBE, UNSUBSCRIBE)."""
        if self._transport:
            self._transport.write(_pack(command))

    def abort(self) -> None:
        """Drop the connection at once; calls under way fail."""
        if self._transport:
            self._transport.abort()
        self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.last_reply_at = clock.monotonic_seconds()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._dispatch(reply)
        except hiredis.ProtocolError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self.closed.set()
        if self._watch:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(BrokerUnavailableError("the connection to Redis was lost"))

    def _expect(self, future: "asyncio.Future[Reply]") -> bool:
        if self._transport is None:
            future.set_exception(BrokerUnavailableError("no connection to Redis"))
            return False
        self._waiting.append((clock.monotonic_seconds() + self._deadline_seconds, future))
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._check)
        return True

    def _check(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        if self._waiting[0][0] < clock.monotonic_seconds():
            self.abort()
        else:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._check)

    def _dispatch(self, reply: Reply) -> None:
        if self._on_push and isinstance(reply, list):
            items = cast("list[Reply]", reply)
            if items[0] != b"pong":
                self._on_push(items)
                return
        if not self._waiting:
            self.abort()
            return
        _, future = self._waiting.popleft()
        if future.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            future.set_exception(reply)
        else:
            future.set_result(reply)


def _pack(command: tuple[str | bytes | int, ...]) -> bytes:
    return cast("bytes", hiredis.pack_command(command))  # pyright: ignore[reportArgumentType, reportUnknownMemberType]  # its stub says a tuple of one
