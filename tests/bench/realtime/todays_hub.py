"""The hub under plain uvicorn, until `pinghub realtime` starts it: CONFIG PORT."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop
from joserfc import jwt
from joserfc.jwk import OctKey

from core import config
from hub.realtime.application import ConnectionRequest, MessageHandler, RpcHandler
from hub.realtime.broker_redis import RedisBroker
from hub.realtime.carriers.asgi_websocket import websocket_endpoint
from hub.realtime.carriers.fast_websocket import FastWebSocket
from hub.realtime.claims import ConnectClaims, SubscribeClaims, TokenInvalidError
from hub.realtime.hub import Hub
from hub.realtime.namespaces import Namespace


async def main(settings: dict[str, Any], port: str) -> None:
    redis = settings["engine"]["redis"]
    key = OctKey.import_key(settings["client"]["token"]["hmac_secret_key"])

    class Anybody:
        rpc: Mapping[str, RpcHandler] = {}
        on_message: MessageHandler | None = None

        async def verify_connection(self, token: str, _request: ConnectionRequest) -> ConnectClaims:
            claims = jwt.decode(token, key, algorithms=["HS256"]).claims
            return ConnectClaims(user=claims["sub"], expires_at=claims["exp"])

        async def verify_subscription(self, _token: str) -> SubscribeClaims:
            raise TokenInvalidError

        async def authorize(self, _claims: ConnectClaims, _channel: str) -> bool:
            return True

    kept = {"history_size": 100, "history_ttl_seconds": 300}
    hub = Hub(
        config.Realtime(),
        RedisBroker(config.Redis(url=redis["address"], key_prefix=redis["prefix"])),
        {
            "feed": Namespace(ask=True, force_recovery=True, force_positioning=True, **kept),
            "user": Namespace(personal=True, force_recovery=True, force_positioning=True, **kept),
        },
        Anybody(),
    )
    await hub.start()
    server = uvicorn.Server(
        uvicorn.Config(
            websocket_endpoint(hub),
            port=int(port),
            loop="uvloop",
            ws=FastWebSocket,
            lifespan="off",
            log_level="warning",
        )
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes()), sys.argv[2]))
