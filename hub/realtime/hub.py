"""The hub of one process: its connections, its channels, and the broker behind them."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from core import clock, config, ids, log
from hub.realtime import channels, codes
from hub.realtime.application import Application
from hub.realtime.broker import Broker, StreamPosition
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.channels import DEFAULT, Grammar
from hub.realtime.cluster.control import Control
from hub.realtime.cluster.messages import Revoke
from hub.realtime.cluster.obedience import Obedience
from hub.realtime.cluster.revocations import Revocations
from hub.realtime.connection import Connection
from hub.realtime.delivery.continuity import Continuity
from hub.realtime.delivery.joining import Joinable, Joiner, JoinRefusedError
from hub.realtime.delivery.membership import Membership
from hub.realtime.delivery.outlet import Outlet
from hub.realtime.delivery.registry import Registry
from hub.realtime.directory import Directory
from hub.realtime.namespaces import Namespace
from hub.realtime.operations import Procedure
from hub.realtime.presence import MemoryPresence, Presence
from hub.realtime.protocol.framing import Framing
from hub.realtime.refusals import Refusals
from hub.realtime.sessions import admission
from hub.realtime.sessions.effects import Joined, JoinRequest, Refused
from hub.realtime.sessions.rules import Rules
from hub.realtime.sessions.session import Pings, Session
from hub.realtime.sessions.subscriptions import Subscription, Terms
from hub.realtime.timers import Timers
from hub.realtime.tokens.claims import ConnectClaims

_FLUSH_SECONDS: Final = 1.0
_SHORTEST_SLEEP_SECONDS: Final = 0.005

_logger = log.get("realtime.hub")


class Hub:
    """Accepts connections from carriers and delivers publications to them.

    Without `presence` and `control` it is the only process: both are in its memory.
    `on_orders_lost` is called when orders between processes were missed for good.
    """

    def __init__(  # its parts
        self,
        settings: config.Realtime,
        broker: Broker,
        namespaces: Mapping[str, Namespace],
        application: Application,
        *,
        presence: Presence | None = None,
        control: Control | None = None,
        grammar: Grammar = DEFAULT,
        insecure: bool = False,
        revocations: Revocations | None = None,
        on_orders_lost: Callable[[], None] = lambda: None,
        version: str = "",
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.application = application
        self.presence: Presence = presence or MemoryPresence()
        self.control = control or Control(MemoryBroker(), str(ids.new_id()))
        self.timers = Timers()
        self.directory = Directory()
        self.revocations = Revocations() if revocations is None else revocations
        self.on_orders_lost = on_orders_lost
        self.refusals = Refusals()
        self.procedures: dict[str, Procedure] = {}
        """What application servers may call by name."""
        self.version = version
        self.draining = False
        self._obedience = Obedience(self)
        self._forwarded_headers = frozenset(map(str.lower, settings.forwarded_headers))
        self._empty = asyncio.Event()
        self._empty.set()
        self._rules = Rules(
            settings=settings,
            namespaces=namespaces,
            grammar=grammar,
            insecure=insecure,
            methods=application.rpc.keys(),
            hears_messages=application.on_message is not None,
            node_id=self.control.node_id,
            version=version,
        )
        self._registry = Registry()
        self._continuity = Continuity(self._registry, broker, settings.position_check_seconds)
        self._membership = Membership(
            broker, self.presence, self.directory.connections, self._continuity.on_batch_end
        )
        self._watchers: dict[Joinable, str] = {}
        self._joiner = Joiner(
            self._registry,
            broker,
            self._continuity,
            self._membership,
            settings.recovery_max_publications,
        )

    @property
    def connections(self) -> set[Connection]:
        """All connections of this process."""
        return self.directory.connections

    @property
    def emulated(self) -> Mapping[str, Connection]:
        """Connections that send by `/emulation`, by the secret id of their session."""
        return self.directory.emulated

    @property
    def node_id(self) -> str:
        """This process among the others."""
        return self.control.node_id

    @property
    def turns_away(self) -> bool:
        """Whether carriers refuse newcomers (503): the hub is about to stop, or full."""
        most = self.settings.max_connections
        return self.draining or 0 < most <= len(self.connections)

    @property
    def subscription_count(self) -> int:
        """How many subscriptions this process has, with those that are being made."""
        return self._registry.subscription_count - len(self._watchers)

    @property
    def channel_count(self) -> int:
        """How many channels this process is subscribed to, for clients or watchers."""
        return len(self._registry.channels)

    @property
    def watched_count(self) -> int:
        """How many of these have watchers only."""
        channels = self._registry.channels
        watched = Counter(self._watchers.values())
        return sum(
            channels[name].subscriber_count <= watchers
            for name, watchers in watched.items()
            if name in channels
        )

    def namespace_of(self, channel: str) -> Namespace | None:
        """Return the rules of a channel, or None when nobody configured it."""
        return channels.resolve(channel, self._rules.namespaces, self._rules.grammar)

    async def may_join(self, claims: ConnectClaims, channel: str) -> bool:
        """Say whether somebody may join a channel without a token."""
        namespace = admission.find_namespace(channel, self._rules)
        if isinstance(namespace, codes.Error):
            return False
        allowed = admission.without_token(channel, namespace, claims, self._rules)
        return await self.application.authorize(claims, channel) if allowed is None else allowed

    def channels_of(self, user: str) -> list[str]:
        """Return the channels that a user's connections are subscribed to by the server."""
        return channels.personal_channels(user, self._rules.namespaces, self._rules.grammar)

    def channels(self, pattern: str = "") -> dict[str, int]:
        """Count the subscribers here of each channel whose name fits the glob; "" fits all."""
        watched = Counter(self._watchers.values())
        found: dict[str, int] = {}
        for name, channel in self._registry.channels.items():
            if pattern and not fnmatchcase(name, pattern):
                continue
            clients = channel.subscriber_count - watched[name]
            if clients > 0 or name not in watched:
                found[name] = clients
        return found

    def message(self, data: bytes, *, user: str = "", client: str = "", session: str = "") -> int:
        """Push data to connections of this process; return how many there are."""
        meant = self.directory.find(user, client, session)
        for connection in meant:
            connection.carry_out(connection.session.message(data))
        return len(meant)

    async def start(self) -> None:
        """Start the broker; works also while it is unreachable."""
        self._continuity.start()
        self._membership.start()
        await self.broker.start(
            self._continuity.on_publication,
            self._continuity.doubt_everything,
            on_join=self._membership.on_join,
            on_leave=self._membership.on_leave,
            on_batch_end=self._continuity.on_batch_end,
        )
        await self.control.start(self._obedience)

    def end_sign_in(self, session: str) -> None:
        """Refuse the tokens of a sign-in session and close its connections, on this process."""
        self._obedience.on_order(Revoke(sign_in_session=session))

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Send every client away (3001) at a moment of its own within the drain time, then stop."""
        self.draining = True
        for watcher in list(self._watchers):
            watcher.close(codes.CLOSE_SHUTDOWN)
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
        await self._membership.close()
        self._obedience.close()
        await self.control.close()
        await self.broker.close()
        _logger.info("realtime_closed", connections=len(leaving))

    def open(
        self,
        outlet: Outlet,
        framing: Framing,
        *,
        transport: str = "websocket",
        headers: Iterable[tuple[bytes, bytes]] = (),
        emulated: bool = False,
        pings: Pings = Pings.MESSAGES,
    ) -> Connection:
        """Begin a connection whose messages leave by the outlet.

        An emulated one gets a secret by which `emulated` finds it when its client sends something.
        """
        session = Session(
            str(ids.new_id()),
            self._rules,
            framing,
            now=clock.monotonic_seconds(),
            jitter=random.random(),  # noqa: S311  # spreads pings, guards nothing
            secret=ids.new_token() if emulated else "",
            pings=pings,
        )
        connection = Connection(
            self, session, framing, outlet, transport=transport, headers=self._seen_of(headers)
        )
        outlet.attach(connection)
        self.directory.add(connection)
        self._empty.clear()
        self.timers.add(connection)
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
        self.directory.forget(connection)
        subscriptions = connection.session.subscriptions
        while subscriptions:
            self.leave(connection, *subscriptions.popitem())

    def know(self, connection: Connection) -> None:
        """Find a connection by its user from now on, unless it has ended already."""
        if connection.session.claims and not connection.session.is_closed:
            self.directory.know(connection)

    def gone(self, connection: Connection) -> None:
        """The carrier has let go of a connection."""
        self.directory.remove(connection)
        if not self.connections:
            self._empty.set()

    def note_refusal(self, connection: Connection, refused: Refused) -> None:
        """Log a command that was answered by an error, and remember it."""
        session, error = connection.session, refused.error
        _logger.info(
            "command_refused",
            method=refused.method,
            # Not the channel: its name may be anything that a client wrote.
            namespace=channels.name_of(
                refused.channel, self._rules.namespaces, self._rules.grammar
            ),
            code=error.code,
            client=session.client_id,
        )
        self.refusals.note(
            session.user,
            method=refused.method,
            channel=refused.channel,
            code=error.code,
            reason=error.message,
        )

    def note_close(self, connection: Connection, disconnect: codes.Disconnect) -> None:
        """Remember a connection that the server closed."""
        user = connection.session.user
        self.refusals.note(
            user, method="", channel="", code=disconnect.code, reason=disconnect.reason
        )

    def position_of(self, channel: str, connection: Connection) -> StreamPosition | None:
        """Return how far a connection has come in a channel; None while it is joining."""
        return self._registry.position_of(channel, connection)

    def is_full_for(self, user: str) -> bool:
        """Whether a user has all the connections that one may have in this process."""
        most = self.settings.max_connections_per_user
        return bool(most and user) and self.directory.count(user) >= most

    def visible_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what the application may see of headers, under lower-case names."""
        return {
            name.lower(): value
            for name, value in headers.items()
            if name.lower() in self._forwarded_headers
        }

    async def join(self, connection: Connection, requests: list[JoinRequest]) -> dict[str, Joined]:
        """Make the subscriptions that the application allows, or raise JoinRefusedError."""
        claims = connection.session.claims
        for request in requests:
            if request.ask and not (
                claims and await self.application.authorize(claims, request.channel)
            ):
                raise JoinRefusedError(codes.PERMISSION_DENIED)
        joined = await self._joiner.join(connection, requests)
        # From here to the reply nothing is awaited.
        for request in requests:
            self._membership.settled(
                connection, request.channel, request.terms, connection.info(request.channel)
            )
        return joined

    async def watch(self, watcher: Joinable, channel: str) -> None:
        """Give every publication of a channel to somebody who is no client, until `unwatch`.

        Nobody sees a watcher: neither presence nor the numbers of clients.
        """
        namespace = self.namespace_of(channel)
        if namespace is None:
            raise JoinRefusedError(codes.UNKNOWN_CHANNEL)
        self._watchers[watcher] = channel
        terms = Terms(positioned=namespace.has_history)
        request = JoinRequest(channel=channel, namespace=namespace, terms=terms)
        try:
            joined = await self._joiner.join(watcher, [request])
        except BaseException:
            self._watchers.pop(watcher, None)
            raise
        for message in joined[channel].late:
            watcher.write(message)

    def unwatch(self, watcher: Joinable) -> None:
        """Give a watcher nothing more."""
        channel = self._watchers.pop(watcher, None)
        if channel is not None:
            self._joiner.leave(channel, watcher)

    def leave(self, connection: Connection, channel: str, subscription: Subscription) -> None:
        """End one subscription."""
        self._joiner.leave(channel, connection)
        info = admission.info(connection.session, channel, subscription)
        self._membership.leave(connection, channel, subscription, info)

    def _seen_of(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
        if not self._forwarded_headers:
            return None
        return self.visible_headers(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        )
