"""A phone: the official Python SDK, recovering, with a memory of everything that it was told."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx
from centrifuge import Client, ClientEventHandler, ConnectedContext, SubscriptionEventHandler
from centrifuge.contexts import (
    PublicationContext,
    ServerPublicationContext,
    ServerSubscribedContext,
    SubscribedContext,
)

from tests.fixtures.patient import PatientTransport

# No connection is kept: what it leads to may be killed between two requests.
_CLIENT = httpx.Client(
    transport=PatientTransport(limits=httpx.Limits(max_keepalive_connections=0)), timeout=30
)


@dataclass
class Phone(ClientEventHandler):
    """One signed-in user's device."""

    url: str
    user_name: str
    access_token: str = ""
    offsets: dict[str, list[int]] = field(default_factory=dict)
    taps: list[tuple[str, int, int]] = field(default_factory=list)
    """(ring id, boot, seq) in the order of arrival, repetitions included."""
    messages: dict[str, list[str]] = field(default_factory=dict)
    """Bodies by channel in the order of arrival, repetitions included."""
    event_ids: list[str] = field(default_factory=list)
    connects: int = 0
    recovered: int = 0
    continuity_lost: list[str] = field(default_factory=list)

    async def open(self) -> None:
        """Sign in and connect."""
        self.client = Client(
            self.url.replace("http", "ws", 1) + "/connection/websocket",
            events=self,
            get_token=self._token,
            max_reconnect_delay=1.0,
            proxy=None,
        )
        await self.client.connect()
        await self.client.ready(timeout=20)

    async def join(self, conversation_id: str) -> None:
        """Subscribe to a conversation, as an app does while it is on the screen."""
        channel = f"conversation:{conversation_id}"
        self.messages[channel] = []
        subscription = self.client.new_subscription(channel, events=_OnScreen(self, channel))
        await subscription.subscribe()
        await subscription.ready(timeout=20)

    async def close(self) -> None:
        await self.client.disconnect()

    async def on_connected(self, ctx: ConnectedContext) -> None:  # noqa: ARG002  # the SDK's
        self.connects += 1

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        self.note_subscribed(ctx.channel, ctx)

    def note_subscribed(
        self, channel: str, ctx: ServerSubscribedContext | SubscribedContext
    ) -> None:
        if ctx.was_recovering:
            self.recovered += ctx.recovered
            if not ctx.recovered:
                self.continuity_lost.append(channel)

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.note(ctx.channel, ctx.pub)

    def note(self, channel: str, publication: Any) -> None:
        event: dict[str, Any] = publication.data
        self.offsets.setdefault(channel, []).append(publication.offset)
        self.event_ids.append(event["id"])
        if event["type"] == "message.sent":
            self.messages.setdefault(channel, []).append(event["data"]["body"])
        if event["type"] == "ring.tapped":
            data = event["data"]
            self.taps.append((data["ring_id"], data["boot"], data["seq"]))

    @property
    def out_of_order(self) -> list[str]:
        """Channels whose offsets did not rise by one each."""
        return [
            channel
            for channel, seen in self.offsets.items()
            if seen != list(range(seen[0], seen[0] + len(seen)))
        ]

    async def _token(self) -> str:
        if not self.access_token:
            self.access_token = sign_in(self.url, self.user_name)
        return self.access_token


class _OnScreen(SubscriptionEventHandler):
    """Tells its phone what a subscription of the app's own receives."""

    def __init__(self, phone: Phone, channel: str) -> None:
        self._phone = phone
        self._channel = channel

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        self._phone.note_subscribed(self._channel, ctx)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self._phone.note(self._channel, ctx.pub)


def sign_in(url: str, user_name: str) -> str:
    """Return an access token of a demo user, for some minutes the same: sign-in is limited."""
    return _sign_in(url, user_name, int(time.monotonic() / 200))


@lru_cache
def _sign_in(url: str, user_name: str, _period: int) -> str:
    user_id = user_ids(url)[user_name]
    return call(url, "/v1/auth/development/sign-in", {"user_id": user_id})["access_token"]


def user_ids(url: str) -> dict[str, str]:
    """Return the demo users' ids by name."""
    users = call(url, "/v1/auth/development/users")["items"]
    return {user["full_name"]: user["id"] for user in users}


def call(
    url: str, path: str, body: object = None, token: str = "", *, key: str = "", method: str = ""
) -> Any:
    """Call the REST interface and return the decoded answer; raises httpx.HTTPError."""
    answer = _CLIENT.request(
        method or ("GET" if body is None else "POST"),
        url + path,
        json=body,
        headers=({"Authorization": f"Bearer {token}"} if token else {})
        | ({"Idempotency-Key": key} if key else {}),
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None
