"""What other processes order and ask, done on the connections of this one."""

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Final, assert_never

from core import clock, log
from hub.realtime import codes
from hub.realtime.cluster.messages import (
    Answer,
    AnyOrder,
    ChannelList,
    ConnectionState,
    DescribeNode,
    DescribeUser,
    Disconnect,
    Emulate,
    EmulateResult,
    ListChannels,
    NodeInfo,
    Question,
    Refresh,
    Revoke,
    Subscribe,
    SubscriptionState,
    Unsubscribe,
    UserState,
)
from hub.realtime.figures import TRAFFIC
from hub.realtime.protocol.messages import raw
from hub.realtime.sessions.commands import orders
from hub.realtime.tokens.claims import SubscribeOptions

if TYPE_CHECKING:
    from hub.realtime.connection import Connection
    from hub.realtime.hub import Hub

_SPREAD_SECONDS: Final = 5.0

_logger = log.get("realtime.obedience")


class Obedience:
    """The hub's part in the whole; a `control.ControlHandler`."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._started_at = clock.monotonic_seconds()
        self._sending_away: asyncio.Task[None] | None = None

    def on_order(self, order: AnyOrder) -> None:
        """Obey on the connections of this process."""
        directory = self._hub.directory
        if isinstance(order, Revoke):
            self._hub.revocations.add((order.sign_in_session,))
            for connection in directory.of_sign_in(order.sign_in_session):
                connection.close(codes.CLOSE_FORCE_DISCONNECT)
            return
        meant = directory.find(order.user, order.client, order.session)
        if isinstance(order, Disconnect):
            disconnect = codes.Disconnect(order.code, order.reason)
            for connection in meant:
                if connection.session.client_id not in order.whitelist:
                    connection.close(disconnect)
            return
        if isinstance(order, Subscribe) and 0 < order.expires_at <= clock.unix_seconds():
            return  # it waited longer than the subscription was to live
        if isinstance(order, Refresh) and order.expired:
            for connection in meant:
                connection.close(codes.CLOSE_EXPIRED)
            return
        given = _given(order)
        for connection in meant:
            connection.obey(given)

    def on_orders_lost(self) -> None:
        """Send everybody away to come back with a token that is verified anew, not all at once."""
        self._hub.on_orders_lost()
        if self._sending_away is None or self._sending_away.done():
            self._sending_away = asyncio.create_task(self._send_away())

    async def on_question(self, question: Question) -> Answer:
        """Answer for this process."""
        match question:
            case ListChannels(pattern):
                return ChannelList(self._hub.channels(pattern))
            case Emulate(session, data):
                return EmulateResult(found=await self._hub.emulate(session, data))
            case DescribeNode():
                return self.describe()
            case DescribeUser(user):
                return UserState(
                    connections=tuple(map(self._state, self._hub.directory.find(user))),
                    refusals=self._hub.refusals.of(user),
                )
            case _:
                assert_never(question)

    def describe(self) -> NodeInfo:
        """Describe this process."""
        hub = self._hub
        return NodeInfo(
            uid=hub.node_id,
            name=socket.gethostname(),
            version=hub.version,
            num_clients=len(hub.connections),
            num_users=hub.directory.user_count,
            num_subs=hub.subscription_count,
            num_channels=hub.channel_count - hub.watched_count,
            uptime=int(clock.monotonic_seconds() - self._started_at),
            messages_sent=sum(item.messages_sent for item in TRAFFIC.values()),
            messages_received=sum(item.messages_received for item in TRAFFIC.values()),
        )

    def _state(self, connection: "Connection") -> ConnectionState:
        session = connection.session
        return ConnectionState(
            client=session.client_id,
            transport=connection.transport,
            format=connection.framing.name,
            connected_at_ms=connection.connected_at_ms,
            waiting_bytes=connection.waiting_bytes,
            subscriptions=tuple(
                SubscriptionState(
                    channel=channel,
                    by_server=item.by_server,
                    position=self._hub.position_of(channel, connection),
                )
                for channel, item in session.subscriptions.items()
            ),
        )

    def close(self) -> None:
        """Stop what is under way."""
        if self._sending_away:
            self._sending_away.cancel()

    async def _send_away(self) -> None:
        leaving = [item for item in self._hub.connections if item.session.claims]
        _logger.warning("orders_lost", connections=len(leaving))
        random.shuffle(leaving)
        for connection in leaving:
            connection.close(codes.CLOSE_FORCE_RECONNECT)
            await asyncio.sleep(_SPREAD_SECONDS / len(leaving))


def _given(order: Subscribe | Unsubscribe | Refresh) -> orders.Order:
    """Return an order as sessions take it."""
    match order:
        case Subscribe():
            options = SubscribeOptions(
                info=raw(order.info),
                data=raw(order.data),
                expires_at=order.expires_at,
                presence=order.presence,
                join_leave=order.join_leave,
                force_push_join_leave=order.force_push_join_leave,
                force_recovery=order.force_recovery,
                force_positioning=order.force_positioning,
            )
            return orders.Subscribe(order.channel, options, order.recover_since)
        case Unsubscribe():
            return orders.Unsubscribe(order.channel, codes.Unsubscribe(order.code, order.reason))
        case Refresh():
            return orders.Refresh(
                expires_at=order.expire_at,
                info=raw(order.info),
                now=clock.monotonic_seconds(),
                unix_now=clock.unix_seconds(),
            )
