"""litestar.channels with its Redis backend: PORT REDIS_PORT."""

import sys

import uvicorn
from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.redis import RedisChannelsPubSubBackend
from redis.asyncio import Redis

port, redis_port = map(int, sys.argv[1:])
channels = ChannelsPlugin(
    RedisChannelsPubSubBackend(redis=Redis(port=redis_port)),
    arbitrary_channels_allowed=True,
    create_ws_route_handlers=True,
)
app = Litestar(plugins=[channels])

if __name__ == "__main__":
    uvicorn.run(app, port=port, loop="uvloop", ws="websockets-sansio", log_level="warning")
