"""The connection for commands: scripts and calls, pipelined, kept alive for ever.

No call is ever repeated here: whether that is harmless only its caller knows.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final

import hiredis

from core import clock, config, log
from hub.realtime import metrics
from hub.realtime.broker import BrokerUnavailableError
from hub.realtime.redis.link import Argument, RedisLink, Reply, keep, parse_address, text, watch

_SCRIPTS: Final = {
    name: (resources.files("hub.realtime.redis") / "lua" / f"{name}.lua").read_text()
    for name in ("publish", "history", "remove_history", "end_stream", "witness", "presence")
}
_RUN_ID: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)

RunScript = Callable[[str, Sequence[Sequence[Argument]]], Awaitable[list[Any]]]
"""Calls a script several times in one round trip, each with its number of keys and arguments."""
OnConnect = Callable[[RunScript, str], Awaitable[None]]
"""Called with a fresh connection and the run id of its Redis, before anybody else may use it."""

_logger = log.get("realtime.redis")


class RedisCommands:
    """Calls Redis while it is there; `run_id` tells one start of Redis from the next."""

    def __init__(self, settings: config.Redis, on_connect: OnConnect | None = None) -> None:
        self.run_id = ""
        self.connected = asyncio.Event()
        self._address = parse_address(config.require(settings.url, "redis.url"))
        self._deadline_seconds = settings.call_deadline_seconds
        self._on_connect = on_connect
        self._link: RedisLink | None = None
        self._shas: dict[str, str] = {}

    @property
    def healthy(self) -> bool:
        """Whether Redis answered a moment ago."""
        return self._link is not None and self._link.answers

    async def keep(self, ready: asyncio.Event) -> None:
        """Connect, again and again; for ever."""
        await keep("commands", self._serve, ready, self._deadline_seconds)

    async def call(self, *command: Argument) -> Reply:
        """Call one command, or raise BrokerUnavailableError, also when Redis refuses it."""
        if self._link is None:
            raise BrokerUnavailableError("no connection to Redis")
        try:
            return await self._link.call(*command)
        except hiredis.ReplyError as error:
            raise BrokerUnavailableError(str(error)) from None

    async def run(self, script: str, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """Call a script several times in one round trip; after a failure any may have run."""
        if self._link is None:
            raise BrokerUnavailableError("no connection to Redis")
        return await self._run(self._link, script, calls)

    async def _run(
        self, link: RedisLink, script: str, calls: Sequence[Sequence[Argument]]
    ) -> list[Any]:
        sha, sent_at = self._shas[script], clock.monotonic_seconds()
        replies = await link.call_many([("EVALSHA", sha, *arguments) for arguments in calls])
        metrics.REDIS_CALL_SECONDS[script].observe(clock.monotonic_seconds() - sent_at)
        failed = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if any(str(error).startswith("NOSCRIPT") for error in failed):
            # Somebody flushed the scripts: a new connection loads them again.
            link.abort()
        if failed:
            raise BrokerUnavailableError(str(failed[0])) from None
        return replies

    async def _serve(self, ready: asyncio.Event) -> None:
        link = await RedisLink.open(self._address, self._deadline_seconds)
        try:
            for name, code in _SCRIPTS.items():
                self._shas[name] = text(await link.call("SCRIPT", "LOAD", code))
            run_id = await read_run_id(link)
            if self._on_connect:
                await self._on_connect(lambda name, calls: self._run(link, name, calls), run_id)
            self.run_id = run_id
            self._link = link
            self.connected.set()
            ready.set()
            _logger.info("redis_connected", connection="commands")
            await watch(link)
        finally:
            self._link = None
            self.connected.clear()
            link.abort()


async def read_run_id(link: RedisLink) -> str:
    """Return what names this start of Redis, "" where it may not be asked."""
    try:
        found = _RUN_ID.search(await link.call("INFO", "server"))
    except hiredis.ReplyError:
        return ""
    return text(found[1]) if found else ""
