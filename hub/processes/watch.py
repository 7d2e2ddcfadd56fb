"""`pinghub watch`: taps and messages of the demo users, live over the project's own websocket."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from cyclopts import Parameter
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from core import config
from core.errors import ConfigError

_TIMEOUT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0
_ADVICE: Final = "start `pinghub up`, or name a hub in development mode with --url"

Say = Callable[[str], None]


class DemoUser(Struct, frozen=True):
    """A user that development sign-in offers."""

    id: UUID
    full_name: str


def watch(
    *,
    url: str = "",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Print one line per tap and message of the demo users, until Ctrl-C.

    Parameters
    ----------
    url
        The hub; default: `server.public_url`.
    as_json
        Print each publication as one JSON object.
    """
    hub_url = (url or config.load().server.public_url).rstrip("/")
    demo_users(hub_url)
    follow(hub_url, lambda line: print(line, flush=True), as_json=as_json)  # noqa: T201  # a command's output


def follow(url: str, say: Say, *, as_json: bool = False) -> None:
    """Watch every demo user for ever; reconnects and recovers what was missed."""
    users = demo_users(url)

    async def all_users() -> None:
        await asyncio.gather(*(_follow_user(url, user, say, as_json=as_json) for user in users))

    asyncio.run(all_users())


def demo_users(url: str) -> list[DemoUser]:
    """Return whom one may sign in as, or raise ConfigError with what to do."""
    try:
        page = get(f"{url}/v1/auth/development/users")
    except OSError as error:
        raise ConfigError(f"{url} does not offer demo users ({error}): {_ADVICE}") from None
    return msgspec.convert(page["items"], list[DemoUser])


async def _follow_user(url: str, user: DemoUser, say: Say, *, as_json: bool) -> None:
    positions: dict[str, dict[str, Any]] = {}
    while True:
        try:
            token = await asyncio.to_thread(sign_in, url, user.id)
            async with connect(_websocket_url(url), max_size=1 << 20) as socket:
                await _receive(socket, token, positions, _Narrator(url, token, user, say, as_json))
        except (OSError, WebSocketException, TimeoutError, msgspec.MsgspecError):
            await asyncio.sleep(_PAUSE_SECONDS)


async def _receive(
    socket: ClientConnection,
    token: str,
    positions: dict[str, dict[str, Any]],
    narrator: "_Narrator",
) -> None:
    """Connect with the last known positions and narrate until the connection ends."""
    command = {"id": 1, "connect": {"token": token, "subs": positions}}
    await socket.send(json.dumps(command))
    async for frame in socket:
        for line in str(frame).splitlines():
            message = json.loads(line)
            if not message:
                await socket.send("{}")
            for channel, sub in message.get("connect", {}).get("subs", {}).items():
                positions[channel] = _position(sub)
                for publication in sub.get("publications", []):
                    await narrator.tell(channel, publication)
            push = message.get("push", {})
            if publication := push.get("pub"):
                channel = push["channel"]
                if channel in positions:
                    positions[channel]["offset"] = publication["offset"]
                await narrator.tell(channel, publication)


class _Narrator:
    def __init__(self, url: str, token: str, user: DemoUser, say: Say, as_json: bool) -> None:
        self._url = url
        self._token = token
        self._user = user
        self._say = say
        self._as_json = as_json
        self._labels: dict[str, str] = {}

    async def tell(self, channel: str, publication: dict[str, Any]) -> None:
        event = publication["data"]
        if self._as_json:
            self._say(json.dumps({"channel": channel, **publication}))
        elif event["type"] == "ring.tapped":
            self._say(await self._tap(event["data"]))
        elif event["type"] == "message.sent":
            self._say(f"{_clock()}  {self._user.full_name:14} received a message")

    async def _tap(self, tap: dict[str, Any]) -> str:
        ring_id = tap["ring_id"]
        if ring_id not in self._labels:
            rings = await asyncio.to_thread(get, f"{self._url}/v1/rings", self._token)
            self._labels = {ring["id"]: ring["label"] or "a ring" for ring in rings["items"]}
        parts = [
            _clock(),
            f"{self._user.full_name:14}",
            f"tapped {self._labels.get(ring_id, 'a ring'):12}",
            tap["kind"],
            f"boot {tap['boot']} seq {tap['seq']}",
            f"{tap['source']}{_signal(tap)}",
            _delay(tap),
        ]
        return "  ".join(part for part in parts if part)


def _position(sub: dict[str, Any]) -> dict[str, Any]:
    return {"recover": True, "epoch": sub.get("epoch", ""), "offset": sub.get("offset", 0)}


def _signal(tap: dict[str, Any]) -> str:
    return f" {tap['rssi']} dBm" if tap.get("rssi") is not None else ""


def _delay(tap: dict[str, Any]) -> str:
    if not tap.get("tapped_at"):
        return ""
    tapped_at = datetime.fromisoformat(tap["tapped_at"])
    milliseconds = (time.time() - tapped_at.timestamp()) * 1000
    return f"here after {milliseconds:.0f} ms"


def _clock() -> str:
    return datetime.now(UTC).astimezone().strftime("%H:%M:%S")


def sign_in(url: str, user_id: UUID) -> str:
    """Return an access token of a demo user."""
    body = json.dumps({"user_id": str(user_id)}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(  # noqa: S310  # the hub's own address
        f"{url}/v1/auth/development/sign-in", data=body, headers=headers
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  # same
        return msgspec.json.decode(response.read())["access_token"]


def get(url: str, token: str = "") -> dict[str, Any]:
    """Return the JSON that a GET answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # the hub's own address
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  # same
        return msgspec.json.decode(response.read())


def _websocket_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}/connection/websocket"
