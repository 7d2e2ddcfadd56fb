"""One connection to Redis: RESP over an asyncio protocol, every call pipelined with a deadline.

A command is written once. When its answer does not come in time the connection is given up, and all
calls under way fail with `BrokerUnavailableError`: repeating them is the caller's decision, because
only the caller knows whether that is harmless.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
import msgspec

from core import clock, log
from core.errors import ConfigError
from core.pause import LONGEST_SECONDS, pause_seconds
from hub.realtime import metrics
from hub.realtime.broker import BrokerUnavailableError

Reply = Any
"""What hiredis returns: bytes, int, None, a list of these, or a ReplyError."""
Argument = str | bytes | int
OnMessage = Callable[[bytes, bytes], None]
"""Called with the name of a Redis channel and what was published there."""
OnSubscribed = Callable[[bytes], None]
"""Called when Redis has carried out one SUBSCRIBE of a channel."""
OnBatchEnd = Callable[[], None]

_WATCH_SECONDS: Final = 0.1
_PING_SECONDS: Final = 0.5
# An outage shows within this time plus one ping interval: readiness must be red in two seconds.
_SILENCE_SECONDS: Final = 1.3

_logger = log.get("realtime.redis")


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


class _Expected(NamedTuple):
    """Answers to commands that were sent together."""

    deadline: float
    future: "asyncio.Future[list[Reply]]"
    size: int
    replies: list[Reply]


class RedisLink(asyncio.Protocol):
    """A connection in use; `closed` is set when it is gone, for whatever reason."""

    def __init__(self, deadline_seconds: float) -> None:
        self.closed = asyncio.Event()
        self.last_reply_at = clock.monotonic_seconds()
        self._deadline_seconds = deadline_seconds
        self._on_message: OnMessage | None = None
        self._on_subscribed: OnSubscribed | None = None
        self._on_batch_end: OnBatchEnd | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[_Expected] = deque()
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def answers(self) -> bool:
        """Whether the other side gave a sign of life a moment ago."""
        silence_seconds = clock.monotonic_seconds() - self.last_reply_at
        return not self.closed.is_set() and silence_seconds < _SILENCE_SECONDS

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

    async def call(self, *command: Argument) -> Reply:
        """Call one command, or raise ReplyError or BrokerUnavailableError."""
        reply = (await self.call_many([command]))[0]
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def call_many(self, commands: Sequence[tuple[Argument, ...]]) -> "asyncio.Future[list[Reply]]":
        """Send commands in one write; all their answers in order, a ReplyError among others.

        The future fails with BrokerUnavailableError when the connection does.
        """
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(BrokerUnavailableError("no connection to Redis"))
        elif commands:
            self._expect(future, len(commands))
            for command in commands:
                self.send(*command)
        else:
            future.set_result([])
        return future

    def listen(
        self,
        on_message: OnMessage,
        on_subscribed: OnSubscribed,
        on_batch_end: OnBatchEnd | None = None,
    ) -> None:
        """Use the connection for subscriptions from now on: only `send` and `ping` remain."""
        self._on_message, self._on_subscribed = on_message, on_subscribed
        self._on_batch_end = on_batch_end

    def ping(self) -> "asyncio.Future[list[Reply]]":
        """Ask for a sign of life; also works between subscriptions."""
        return self.call_many([("PING",)])

    def send(self, *command: Argument) -> None:
        """Send a command that `listen` hears the answer of; one write per turn of the loop."""
        if self._transport:
            if not self._outgoing:
                asyncio.get_running_loop().call_soon(self._flush)
            self._outgoing.append(_pack(command))

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
            if self._on_message:
                self._listen(self._on_message)
            else:
                while (reply := self._reader.gets()) is not False:
                    self._answer(reply)
        except hiredis.ProtocolError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._outgoing.clear()
        self.closed.set()
        if self._watch:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, deque()
        for expected in waiting:
            if not expected.future.done():
                error = BrokerUnavailableError("the connection to Redis was lost")
                expected.future.set_exception(error)

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport and outgoing:
            self._transport.write(b"".join(outgoing))

    def _expect(self, future: "asyncio.Future[list[Reply]]", count: int) -> None:
        deadline = clock.monotonic_seconds() + self._deadline_seconds
        self._waiting.append(_Expected(deadline, future, count, []))
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._check)

    def _check(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        is_late = self._waiting[0].deadline < clock.monotonic_seconds()
        # A pong waits behind all that was published before it: while that comes in, all is well.
        if is_late and not (self._on_message and self.answers):
            self.abort()
        else:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._check)

    def _listen(self, on_message: OnMessage) -> None:
        """Read in the mode of subscriptions; this is where every publication comes in."""
        gets = self._reader.gets
        delivered = False
        while (reply := gets()) is not False:
            if type(reply) is not list:  # an error, or PONG before the first subscription
                self._answer(reply)
                continue
            push = cast("list[bytes]", reply)
            kind = push[0]
            if kind == b"message":
                on_message(push[1], push[2])
                delivered = True
            elif kind == b"pong":
                self._answer(reply)
            elif kind == b"subscribe" and self._on_subscribed:
                self._on_subscribed(push[1])
        if delivered and self._on_batch_end:
            self._on_batch_end()

    def _answer(self, reply: Reply) -> None:
        if not self._waiting:
            self.abort()
            return
        expected = self._waiting[0]
        expected.replies.append(reply)
        if len(expected.replies) < expected.size:
            return
        self._waiting.popleft()
        if not expected.future.done():
            expected.future.set_result(expected.replies)


def _pack(command: tuple[Argument, ...]) -> bytes:
    return cast("bytes", hiredis.pack_command(command))  # pyright: ignore[reportArgumentType, reportUnknownMemberType]  # its stub says a tuple of one


async def keep(
    name: str,
    serve: Callable[[asyncio.Event], Awaitable[None]],
    ready: asyncio.Event,
    deadline_seconds: float,
) -> None:
    """Serve a connection, and the next one when it is lost; for ever."""
    failures = 0
    while True:
        started_at = clock.monotonic_seconds()
        try:
            await serve(ready)
        except (BrokerUnavailableError, hiredis.HiredisError) as error:
            metrics.BROKER_FAILURES.labels(connection=name).inc()
            _logger.warning("redis_connection_failed", connection=name, error=str(error))
        except Exception:
            _logger.exception("redis_connection_broke", connection=name)
        lasted = clock.monotonic_seconds() - started_at > LONGEST_SECONDS + deadline_seconds
        failures = 1 if lasted else failures + 1
        await asyncio.sleep(pause_seconds(failures))


async def watch(link: RedisLink, on_pong: Callable[[float], None] | None = None) -> None:
    """Return when the connection is gone; end it when it stays silent.

    `on_pong` is told the seconds from each ping to its pong: what waits before it in Redis, on the
    way or here delays everything else as much.
    """
    while not link.closed.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PING_SECONDS):
                await link.closed.wait()
        if link.closed.is_set():
            break
        if not link.answers:
            link.abort()
        else:
            _ping(link, on_pong)
    raise BrokerUnavailableError("the connection was lost")


def _ping(link: RedisLink, on_pong: Callable[[float], None] | None) -> None:
    sent_at = clock.monotonic_seconds()

    def answered(pong: "asyncio.Future[list[Reply]]") -> None:
        if not pong.cancelled() and pong.exception() is None and on_pong:
            on_pong(clock.monotonic_seconds() - sent_at)

    link.ping().add_done_callback(answered)


def text(value: bytes | str) -> str:
    """Return what Redis gave as text."""
    return value.decode() if isinstance(value, bytes) else value
