"""The namespaces of the realtime channels, and who may join what is not personal."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from core.actor import Actor
from core.db import Pool, begin
from core.ids import UserId
from hub.domains.events import service as events
from hub.realtime.broker import HistoryOptions
from hub.realtime.channels import DEFAULT, resolve
from hub.realtime.namespaces import Namespace
from hub.realtime.tokens.claims import ConnectClaims

# A phone that was off for a day catches up from the stream; longer, and it reads the REST lists.
_HISTORY_SIZE: Final = 1000
_HISTORY_TTL_SECONDS: Final = 24 * 3600


def _kept(*, personal: bool) -> Namespace:
    return Namespace(
        personal=personal,
        ask=not personal,
        signed_in=True,
        history_size=_HISTORY_SIZE,
        history_ttl_seconds=_HISTORY_TTL_SECONDS,
        force_recovery=True,
        force_positioning=True,
        allow_history_for_subscriber=True,
    )


NAMESPACES: Final[dict[str, Namespace]] = {
    "taps": _kept(personal=True),
    "health": _kept(personal=True),
    "messages": _kept(personal=True),
    "sync": _kept(personal=True),
    "notifications": _kept(personal=True),
    "insights": _kept(personal=True),
    "achievements": _kept(personal=True),
    "conversation": _kept(personal=False),
    # One channel for everybody. Its last publication says all: that flags have to be read again.
    "flags": Namespace(
        signed_in=True,
        allow_subscribe_for_client=True,
        channel_regex="^all$",
        history_size=1,
        history_ttl_seconds=_HISTORY_TTL_SECONDS,
        force_recovery=True,
        force_recovery_mode="cache",
    ),
}


def history_of(channel: str) -> HistoryOptions:
    """Return how much a channel keeps."""
    namespace = resolve(channel, NAMESPACES, DEFAULT)
    if namespace is None:
        raise LookupError(f"no namespace for {channel}")
    return HistoryOptions(size=namespace.history_size, ttl_seconds=namespace.history_ttl_seconds)


def authorizer(pool: Pool) -> Callable[[ConnectClaims, str], Awaitable[bool]]:
    """Return the answer to "may this client join?" for channels that are not personal.

    `conversation:{id}` is asked of PostgreSQL under the client's own context, so that the policy
    that guards the rows guards the channel.
    """

    async def authorize(claims: ConnectClaims, channel: str) -> bool:
        namespace, _, conversation = channel.partition(":")
        user_id, conversation_id = _uuid(claims.user), _uuid(conversation)
        if namespace != "conversation" or user_id is None or conversation_id is None:
            return False
        actor = Actor(kind="user", user_id=UserId(user_id), session_id=claims.session_id)
        async with begin(pool, actor, read_only=True) as tx:
            return await events.in_conversation(tx, conversation_id)

    return authorize


def _uuid(text: str) -> UUID | None:
    try:
        value = UUID(text)
    except ValueError:
        return None
    # One spelling only: another one would be another channel with the same members.
    return value if str(value) == text else None
