"""python-socketio with its Redis manager: PORT REDIS_PORT."""

import sys

import socketio
import uvicorn

port, redis_port = map(int, sys.argv[1:])
server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(f"redis://127.0.0.1:{redis_port}/0"),
)


@server.event
async def join(sid: str, room: str) -> None:
    """Subscribe a client; returning is the acknowledgement."""
    await server.enter_room(sid, room)


app = socketio.ASGIApp(server)

if __name__ == "__main__":
    uvicorn.run(app, port=port, loop="uvloop", ws="websockets-sansio", log_level="warning")
