"""Our hub among the contestants: signed tokens, positions, limits, presence and pings are on."""

import asyncio
import contextlib
import re
import sys
import time

import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey

from core import config
from hub.realtime.broker import HistoryOptions, PublishRequest
from hub.realtime.redis.broker import RedisBroker
from tests.bench.realtime.load import CHANNEL, PAYLOAD, Plan
from tests.bench.realtime.servers import Place, Server

_SECRET = "a secret of the benchmark, 32 bytes or more"
_HISTORY = HistoryOptions(size=100, ttl_seconds=300)
_KEY = OctKey.import_key(_SECRET)


def server() -> Server:
    """Return our hub."""
    return Server("Ping Hub", _command, _plan, lambda: "", _token)


def configuration(place: Place) -> dict[str, object]:
    """Return a configuration as Centrifugo's, with everything on that costs something."""
    kept = {
        "history_size": _HISTORY.size,
        "history_ttl": f"{_HISTORY.ttl_seconds}s",
        "force_recovery": True,
        "force_positioning": True,
        "presence": True,
        "allow_subscribe_for_client": True,
    }
    return {
        "http_server": {"port": place.port},
        "log": {"level": "warn"},
        "client": {"token": {"hmac_secret_key": _SECRET}},
        "engine": {
            "type": "redis",
            "redis": {"address": f"redis://127.0.0.1:{place.redis_port}/0", "prefix": "bench"},
        },
        "channel": {"namespaces": [{"name": "feed", **kept}, {"name": "user", **kept}]},
    }


def _command(place: Place) -> list[str]:
    path = place.folder / "config.json"
    path.write_bytes(msgspec.json.encode(configuration(place)))
    return [sys.executable, "-m", "hub.cli", "realtime", "--config", str(path)]


def _token(number: int, personal: bool) -> str:
    user = f"{number:07}" if personal else f"reader-{number}"
    claims: dict[str, object] = {"sub": user, "exp": int(time.time()) + 86_400}
    if personal:
        claims["channels"] = [f"user:{user}"]
    return jwt.encode({"alg": "HS256"}, claims, _KEY)


def _plan(place: Place, personal: bool) -> Plan:
    channel = f"user:{CHANNEL}" if personal else f"feed:{CHANNEL}"
    where = '"recover":true,"epoch":"$e","offset":$o'
    connect = '{"id":1,"connect":{"token":"$t"}}'
    if personal:  # the server subscribes
        dialog = [("send", connect), ("wait", '"subs":{')]
        again = '{"id":1,"connect":{"token":"$t","subs":{"user:$c":{' + where + "}}}}"
        return_dialog = [("send", again), ("wait", '"recovered":true')]
    else:
        subscribe = '{"id":2,"subscribe":{"channel":"feed:$c"'
        begin = [("send", connect), ("wait", '"client":')]
        dialog = [*begin, ("send", subscribe + "}}"), ("wait", '"id":2')]
        return_dialog = [
            *begin,
            ("send", f"{subscribe},{where}}}}}"),
            ("wait", '"recovered":true'),
        ]
    return Plan(
        request="/connection/websocket",
        dialog=dialog,
        again=return_dialog,
        ping="{}",
        pong="{}",
        publication=asyncio.run(_recorded_publication(place.redis_port, channel)),
    )


async def _recorded_publication(redis_port: int, channel: str) -> bytes:
    """Return what the product's own broker says to Redis for one publication.

    Repeated by the load generator, so that publishing costs Redis what it really costs.
    """
    said = bytearray()
    parts: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if up:
                    said.extend(data)
                writer.write(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", redis_port)
        parts.append(asyncio.create_task(pump(reader, redis_writer, up=True)))
        await pump(redis_reader, writer, up=False)

    listener = await asyncio.start_server(between, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    broker = RedisBroker(config.Redis(url=f"redis://127.0.0.1:{port}/0", key_prefix="bench"))
    await broker.start()
    said.clear()
    await broker.publish(PublishRequest(channel=channel, data=PAYLOAD, history=_HISTORY))
    await broker.close()
    listener.close()
    await asyncio.gather(*parts)
    commands = re.split(rb"(?<=\r\n)(?=\*\d+\r\n\$)", bytes(said))
    return next(command for command in commands if PAYLOAD in command)
