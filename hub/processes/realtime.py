"""`pinghub realtime`: the realtime layer alone, from a Centrifugo configuration, no database.

Nothing of the product is imported here: the process needs a broker at most.
"""

import asyncio
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Final

import uvicorn
import uvloop
from cyclopts import Parameter
from msgspec.structs import replace

import core.log
from core import config, ids, log
from core.errors import ConfigError
from hub.http import wire
from hub.processes.drained import DrainedServer
from hub.processes.listener import listen
from hub.realtime.application import ConnectionRequest, MessageHandler, RpcHandler
from hub.realtime.broker import Broker
from hub.realtime.broker_memory import MemoryBroker
from hub.realtime.carriers.fast_websocket import FastWebSocket
from hub.realtime.centrifugo import file as config_file
from hub.realtime.centrifugo import options as config_options
from hub.realtime.centrifugo.file import Loaded
from hub.realtime.cluster.control import Control, control_redis
from hub.realtime.endpoints import ECHO, Paths, endpoints
from hub.realtime.hub import Hub
from hub.realtime.redis.broker import RedisBroker
from hub.realtime.redis.presence import RedisPresence
from hub.realtime.tokens.claims import (
    ConnectClaims,
    ConnectionDeniedError,
    SubscribeClaims,
    TokenInvalidError,
)

_MEMORY: Final = "memory"
_HOST: Final = "127.0.0.1"
_KEY_PREFIX: Final = "centrifugo"
_BODY_MAX_BYTES: Final = 1_048_576
_DRAIN_MAX_SECONDS: Final = 5.0

_log = log.get("realtime.server")


def realtime(
    *,
    config: Annotated[str, Parameter(name="--config")] = "",
    host: str = "",
    port: int | None = None,
    broker: str = "",
    echo: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Serve the realtime layer alone, without a database; Ctrl-C drains and stops it.

    It speaks Centrifugo's client protocol and server API and reads its configuration, so that
    SDKs and server libraries need another address and nothing else. See docs/realtime-server.md.

    Parameters
    ----------
    config
        A Centrifugo v6 configuration: .json, .yaml or .toml. Without one nobody may connect.
    host
        Where to listen; else `http_server.address` of the file, else 127.0.0.1.
    port
        Where to listen; else `http_server.port` of the file, else 8000.
    broker
        "memory", or the address of a Redis; else what the file says.
    echo
        Offer an echo at /autobahn. Development only.
    """
    loaded = config_file.load(config) if config else config_file.defaults()
    core.log.configure(
        config_file.log_level(loaded.file), "console" if sys.stderr.isatty() else "json"
    )
    for warning in loaded.warnings:
        _log.warning("configuration_warning", text=warning)
    redis = _redis(broker, loaded.file)
    application = FileApplication(loaded.file)
    server = loaded.file.http_server
    listener = listen(host or server.address or _HOST, server.port if port is None else port)
    if _admits_nobody(loaded.file):
        text = "nobody may connect: set client.token.hmac_secret_key or another key there"
        _log.warning("configuration_warning", text=text)
    address: tuple[str, int] = listener.getsockname()
    paths = _paths(loaded.file, echo=echo)

    async def serve() -> None:
        hub = open_hub(loaded, application, redis)
        await hub.start()
        drain_seconds = min(_DRAIN_MAX_SECONDS, loaded.file.shutdown.timeout.seconds)
        app = endpoints(
            hub,
            paths=paths,
            allowed_origins=config_file.allowed_origins(loaded.file),
            api_keys=None if loaded.file.http_api.insecure else (loaded.settings.api_keys,),
            api_body_max_bytes=_BODY_MAX_BYTES,
        )
        await DrainedServer(
            uvicorn.Config(
                app,  # pyright: ignore[reportArgumentType]  # looser in the types of messages
                http=wire.bounded(_BODY_MAX_BYTES),
                ws=FastWebSocket,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            ),
            drain=lambda: hub.close(drain_seconds),
            say_ready=lambda: _say_ready(address, redis, paths),
        ).serve(sockets=[listener])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def open_hub(loaded: Loaded, application: "FileApplication", redis: config.Redis | None) -> Hub:
    """Return a hub as the file describes it, not started."""
    broker: Broker = MemoryBroker()
    presence = control = None
    if redis:
        broker = RedisBroker(redis)
        presence = RedisPresence(broker.commands, redis.key_prefix)
        control = Control(RedisBroker(control_redis(redis)), str(ids.new_id()))
    return Hub(
        loaded.settings,
        broker,
        loaded.namespaces,
        application,
        grammar=loaded.grammar,
        insecure=loaded.file.client.insecure,
        presence=presence,
        control=control,
        version=version("pinghub"),
    )


class FileApplication:
    """The application that a configuration file describes: tokens decide, nobody is asked."""

    def __init__(self, file: config_options.File) -> None:
        """Import the keys, or raise ConfigError."""
        self.rpc: Mapping[str, RpcHandler] = {}
        self.on_message: MessageHandler | None = None
        self._client = file.client
        self._connections, self._subscriptions = config_file.token_verifiers(file)

    async def verify_connection(self, token: str, request: ConnectionRequest) -> ConnectClaims:
        """Take a connection token; without one only where the file lets the anonymous in."""
        del request
        client = self._client
        if not token:
            if client.insecure or client.allow_anonymous_connect_without_token:
                return ConnectClaims(user="")
            raise TokenInvalidError("there is none")
        claims = await self._connections.connect(token)
        if not claims.user and client.disallow_anonymous_connection_tokens:
            raise ConnectionDeniedError
        return replace(claims, expires_at=0) if client.insecure else claims

    async def verify_subscription(self, token: str) -> SubscribeClaims:
        """Take a subscription token."""
        return await self._subscriptions.subscribe(token)

    async def authorize(self, claims: ConnectClaims, channel: str) -> bool:
        """Allow nothing: no namespace of a file asks."""
        del claims, channel
        return False


def _admits_nobody(file: config_options.File) -> bool:
    """Say whether no client could ever connect: no key, and no leave to come without a token."""
    token, client = file.client.token, file.client
    keys = (token.hmac_secret_key, token.rsa_public_key, token.ecdsa_public_key)
    anonymous = client.insecure or client.allow_anonymous_connect_without_token
    return not (any(keys) or token.jwks_public_endpoint or anonymous)


def _redis(broker: str, file: config_options.File) -> config.Redis | None:
    if not broker:
        return config_file.redis_settings(file)
    if broker == _MEMORY:
        return None
    if broker.partition("://")[0] not in ("redis", "rediss", "unix"):
        raise ConfigError(
            "--broker: has to be memory, or begin with redis://, rediss:// or unix://"
        )
    return config.Redis(url=broker, key_prefix=_KEY_PREFIX)


def _paths(file: config_options.File, *, echo: bool) -> Paths:
    streams = file.http_stream.enabled or file.sse.enabled
    return Paths(
        websocket="" if file.websocket.disabled else file.websocket.handler_prefix,
        http_stream=file.http_stream.handler_prefix if file.http_stream.enabled else "",
        sse=file.sse.handler_prefix if file.sse.enabled else "",
        emulation=file.emulation.handler_prefix if streams else "",
        api="" if file.http_api.disabled else file.http_api.handler_prefix,
        health=file.health.handler_prefix if file.health.enabled else "",
        metrics=file.prometheus.handler_prefix if file.prometheus.enabled else "",
        echo=ECHO if echo else "",
    )


def _say_ready(address: tuple[str, int], redis: config.Redis | None, paths: Paths) -> None:
    offered = " ".join(getattr(paths, name) for name in paths.__struct_fields__).split()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    print(  # noqa: T201  # a command's output
        f"pinghub realtime is ready at http://{host}:{address[1]}"
        f" (broker: {'redis' if redis else 'memory'}) and offers {', '.join(offered)}",
        flush=True,
    )
