"""What a session waits for, done: tokens, joins, the broker and the application are asked here.

Whatever goes wrong becomes the protocol's answer; a client never sees more of it than code 100.
"""

import asyncio
from typing import TYPE_CHECKING, assert_never

from core import clock, log
from hub.realtime import codes, metrics
from hub.realtime.application import ClientError, ConnectionRequest
from hub.realtime.broker import BrokerUnavailableError, HistoryOptions, PublishRequest
from hub.realtime.delivery.joining import JoinRefusedError
from hub.realtime.protocol.framing import BinaryDataError
from hub.realtime.sessions.commands import calls, channels, connect, subscribe
from hub.realtime.sessions.effects import (
    Authenticate,
    Awaited,
    Call,
    CountPresence,
    Effect,
    HandOver,
    Join,
    PublishData,
    ReadHistory,
    ReadPresence,
    VerifySubscription,
)
from hub.realtime.tokens.claims import ConnectionDeniedError, TokenExpiredError, TokenInvalidError
from hub.realtime.tokens.signatures import KeysUnavailableError

if TYPE_CHECKING:
    from hub.realtime.connection import Connection

_logger = log.get("realtime.answering")


async def answer(connection: "Connection", effect: Awaited) -> list[Effect]:
    """Do what the session waits for, within the time that a command may take, and report."""
    session = connection.session
    try:
        async with asyncio.timeout(connection.hub.settings.command_timeout_seconds):
            return await _do(connection, effect)
    except JoinRefusedError as refusal:
        return session.refused(refusal.error)
    except BinaryDataError:
        return session.close(codes.CLOSE_INAPPROPRIATE_PROTOCOL)
    except (BrokerUnavailableError, KeysUnavailableError, TimeoutError) as trouble:
        _logger.warning("command_unanswered", reason=type(trouble).__name__)
        return session.refused(codes.INTERNAL)
    except Exception:
        _logger.exception("command_failed", client=session.client_id)
        return session.refused(codes.INTERNAL)


async def call(connection: "Connection", effect: Call) -> list[Effect]:
    """Call a remote procedure, within the time that a command may take, and report."""
    session, hub = connection.session, connection.hub
    error = codes.INTERNAL
    began_at = clock.monotonic_seconds()
    try:
        if session.claims:
            async with asyncio.timeout(hub.settings.command_timeout_seconds):
                data = await hub.application.rpc[effect.method](session.claims, effect.data)
            return calls.called(session, effect.command_id, data)
    except ClientError as refusal:
        error = refusal.error
    except TimeoutError:
        _logger.warning("rpc_too_slow", method=effect.method)
    except Exception:
        _logger.exception("rpc_failed", method=effect.method)
    finally:
        metrics.COMMAND_SECONDS["rpc"].observe(clock.monotonic_seconds() - began_at)
    return calls.failed(session, effect.command_id, error)


async def _do(  # noqa: PLR0911  # one per effect
    connection: "Connection", effect: Awaited
) -> list[Effect]:
    hub, session = connection.hub, connection.session
    match effect:
        case Authenticate():
            return await _authenticate(connection, effect)
        case VerifySubscription(token):
            return await _verify_subscription(connection, token)
        case Join():
            return await _join(connection, effect)
        case ReadHistory():
            history = await hub.broker.history(
                effect.channel,
                since=effect.since,
                limit=effect.limit,
                reverse=effect.reverse,
                meta_ttl_seconds=effect.meta_ttl_seconds,
            )
            return channels.history_read(session, history)
        case ReadPresence(channel):
            return channels.presence_read(session, await hub.presence.get(channel))
        case CountPresence(channel):
            return channels.presence_counted(session, await hub.presence.stats(channel))
        case PublishData():
            await hub.broker.publish(_publish_request(effect))
            return channels.published(session)
        case HandOver(data):
            if hub.application.on_message and session.claims:
                await hub.application.on_message(session.claims, data)
            return calls.handed_over(session)
        case _:
            assert_never(effect)


async def _authenticate(connection: "Connection", effect: Authenticate) -> list[Effect]:
    hub, session = connection.hub, connection.session
    command = effect.connect
    request = ConnectionRequest(
        client_id=session.client_id,
        data=command.data,
        name=command.name,
        version=command.version,
        # The transport's own headers cannot be replaced by what the client says.
        headers={**hub.visible_headers(command.headers), **(connection.headers or {})},
        transport=connection.transport,
        framing=connection.framing.name,
    )
    try:
        claims = await hub.application.verify_connection(effect.token, request)
    except TokenExpiredError:
        return connect.token_expired(session)
    except TokenInvalidError:
        return connect.token_invalid(session)
    except ConnectionDeniedError:
        return session.close(codes.CLOSE_PERMISSION_DENIED)
    if hub.revocations.covers(claims.session_id):
        return session.close(codes.CLOSE_INVALID_TOKEN)
    if session.claims is None and hub.is_full_for(claims.user):
        return session.close(codes.CLOSE_CONNECTION_LIMIT)
    connection.headers = None
    effects = connect.authenticated(
        session, claims, clock.monotonic_seconds(), clock.unix_seconds()
    )
    # At once: an order for this user that comes before the reply has to find the connection.
    hub.know(connection)
    return effects


async def _verify_subscription(connection: "Connection", token: str) -> list[Effect]:
    session = connection.session
    try:
        claims = await connection.hub.application.verify_subscription(token)
    except TokenExpiredError:
        return subscribe.token_expired(session)
    except TokenInvalidError:
        return subscribe.token_invalid(session)
    return subscribe.verified(session, claims, clock.monotonic_seconds(), clock.unix_seconds())


async def _join(connection: "Connection", effect: Join) -> list[Effect]:
    session = connection.session
    joined = await connection.hub.join(connection, effect.requests)
    return subscribe.joined(session, joined, clock.monotonic_seconds(), clock.unix_seconds())


def _publish_request(effect: PublishData) -> PublishRequest:
    namespace = effect.namespace
    return PublishRequest(
        channel=effect.channel,
        data=effect.data,
        info=effect.info,
        binary=effect.binary,
        history=HistoryOptions(
            namespace.history_size,
            namespace.history_ttl_seconds,
            namespace.history_meta_ttl_seconds,
        ),
    )
