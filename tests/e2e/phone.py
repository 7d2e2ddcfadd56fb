"""A phone: the official Python SDK, recovering, with a memory of everything that it was told."""

import json
import time
import urllib.request
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from centrifuge import Client, ClientEventHandler, ConnectedContext
from centrifuge.contexts import ServerPublicationContext, ServerSubscribedContext


@dataclass
class Phone(ClientEventHandler):
    """One signed-in user's device."""

    url: str
    user_name: str
    access_token: str = ""
    offsets: dict[str, list[int]] = field(default_factory=dict)
    taps: list[tuple[str, int, int]] = field(default_factory=list)
    """(ring id, boot, seq) in the order of arrival, repetitions included."""
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

    async def close(self) -> None:
        await self.client.disconnect()

    async def on_connected(self, ctx: ConnectedContext) -> None:  # noqa: ARG002  # the SDK's
        self.connects += 1

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        if ctx.was_recovering:
            self.recovered += ctx.recovered
            if not ctx.recovered:
                self.continuity_lost.append(ctx.channel)

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        event: dict[str, Any] = ctx.pub.data
        self.offsets.setdefault(ctx.channel, []).append(ctx.pub.offset)
        self.event_ids.append(event["id"])
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


def sign_in(url: str, user_name: str) -> str:
    """Return an access token of a demo user, for some minutes the same: sign-in is limited."""
    return _sign_in(url, user_name, int(time.monotonic() / 200))


@lru_cache
def _sign_in(url: str, user_name: str, _period: int) -> str:
    users = call(url, "/v1/auth/development/users")["items"]
    user_id = next(user["id"] for user in users if user["full_name"] == user_name)
    return call(url, "/v1/auth/development/sign-in", {"user_id": user_id})["access_token"]


def call(url: str, path: str, body: object = None, token: str = "") -> Any:
    """Call the REST interface and return the decoded answer."""
    request = urllib.request.Request(
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())
