"""The hub of one process: its connections, its channels, and the broker behind them."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from core import clock, config, ids, log
from hub.realtime import codes, metrics
from hub.realtime.broker import Broker
from hub.realtime.claims import ConnectClaims
from hub.realtime.connection import Connection
from hub.realtime.continuity import Continuity
from hub.realtime.effects import Joined, JoinRequest
from hub.realtime.joining import Joiner, JoinRefusedError
from hub.realtime.namespaces import Namespace
from hub.realtime.outlet import Outlet
from hub.realtime.protocol.framing import Framing
from hub.realtime.registry import Registry
from hub.realtime.session import Session
from hub.realtime.timers import Timers

VerifyToken = Callable[[str], Awaitable[ConnectClaims]]
"""Raises TokenInvalidError or TokenExpiredError; anything else is answered as a temporary error."""
Authorize = Callable[[ConnectClaims, str], Awaitable[bool]]
"""Asked for every channel that is not personal."""

_FLUSH_SECONDS: Final = 1.0
_SHORTEST_SLEEP_SECONDS: Final = 0.005

_logger = log.get("realtime.hub")


class Hub:
    """Accepts connections from carriers and delivers publications to them."""

    def __init__(
        self,
        settings: config.Realtime,
        broker: Broker,
        namespaces: Mapping[str, Namespace],
        verify_token: VerifyToken,
        authorize: Authorize,
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.verify_token = verify_token
        self.timers = Timers()
        self.node_id = str(ids.new_id())
        self.connections: set[Connection] = set()
        self.emulated: dict[str, Connection] = {}
        """Connections that get their commands by `/emulation`, by their secret sessions."""
        self.draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._namespaces = namespaces
        self._authorize = authorize
        self._registry = Registry()
        self._continuity = Continuity(self._registry, broker, settings.position_check_seconds)
        self._joiner = Joiner(
            self._registry, broker, self._continuity, settings.recovery_max_publications
        )

    async def start(self) -> None:
        """Start the broker; works also while it is unreachable."""
        self._continuity.start()
        await self.broker.start(
            self._continuity.on_publication,
            self._continuity.doubt_everything,
            on_batch_end=self._continuity.on_batch_end,
        )

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Send every client away (3001) at a moment of its own within the drain time, then stop."""
        self.draining = True
        leaving = list(self.connections)
        random.shuffle(leaving)
        started_at = clock.monotonic_seconds()
        for number, connection in enumerate(leaving):
            due_at = started_at + drain_seconds * number / len(leaving)
            wait_seconds = due_at - clock.monotonic_seconds()
            # A sleep is never shorter than the loop's clock: thousands would add up.
            if wait_seconds > _SHORTEST_SLEEP_SECONDS:
                await asyncio.sleep(wait_seconds)
            connection.close(codes.CLOSE_SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._empty.wait()
        self.timers.close()
        await self._continuity.close()
        await self.broker.close()
        _logger.info("realtime_closed", connections=len(leaving))

    def open(
        self,
        outlet: Outlet,
        framing: Framing,
        *,
        transport: str = "websocket",
        emulated: bool = False,
    ) -> Connection:
        """Begin a connection whose messages leave by the outlet, and by it only if `emulated`."""
        emulation = (ids.new_token(), self.node_id) if emulated else ("", "")
        session = Session(
            str(ids.new_id()),
            self.settings,
            self._namespaces,
            framing,
            now=clock.monotonic_seconds(),
            jitter=random.random(),  # noqa: S311  # spreads pings, guards nothing
            emulation=emulation,
        )
        connection = Connection(self, session, framing, outlet)
        if emulated:
            self.emulated[emulation[0]] = connection
        outlet.attach(connection)
        self.connections.add(connection)
        self._empty.clear()
        self.timers.add(connection)
        metrics.CONNECTIONS_ACCEPTED.labels(transport=transport).inc()
        return connection

    async def emulate(self, session: str, frame: bytes) -> bool:
        """Give a frame to a connection of this process; False when it has none of that session."""
        connection = self.emulated.get(session)
        if connection is None:
            return False
        await connection.receive(frame)
        return True

    def forget(self, connection: Connection) -> None:
        """End all subscriptions of a connection that is closing or gone."""
        self.timers.remove(connection)
        for channel in connection.session.subscriptions:
            self._joiner.leave(channel, connection)
        connection.session.subscriptions.clear()

    def gone(self, connection: Connection) -> None:
        """The carrier has let go of a connection."""
        self.connections.discard(connection)
        self.emulated.pop(connection.session.emulation[0], None)
        if not self.connections:
            self._empty.set()

    async def join(
        self, connection: Connection, claims: ConnectClaims, requests: list[JoinRequest]
    ) -> dict[str, Joined]:
        """Make the subscriptions that the application allows, or raise JoinRefusedError."""
        for request in requests:
            if request.ask and not await self._authorize(claims, request.channel):
                raise JoinRefusedError(codes.PERMISSION_DENIED)
        return await self._joiner.join(connection, requests)

    def leave(self, channel: str, connection: Connection) -> None:
        """End one subscription."""
        self._joiner.leave(channel, connection)
