"""Everybody who is measured: the floor, our hub, and the peers of `peers/`."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from core.errors import ConfigError
from hub.embedded import node
from tests.bench.realtime import floor, our_hub
from tests.bench.realtime.load import CHANNEL, PAYLOAD, Plan, compiled
from tests.bench.realtime.servers import Place, Server, redis_publish

_HERE: Final = Path(__file__).parent
INSTALLED: Final = _HERE.parents[2] / ".venv-bench"
"""Where `make bench-peers` puts the peers' packages."""
_NGINX_MODULES: Final = Path("/usr/lib/nginx/modules")
_NEEDED: Final = 2  # the floor and we
_NOT_INSTALLED: Final = "not installed: make bench-peers"


def everybody(folder: Path) -> list[Server]:
    """Return the floor first, then our hub, then the peers; `folder` takes the compiled floor."""
    return [
        floor.server(compiled("floor", folder)),
        our_hub.server(),
        _python("picows", "picows", "picows_fanout", _plain),
        _python("websockets broadcast()", "websockets", "websockets_broadcast", _plain),
        _node("ws", "ws_fanout", _plain),
        Server("nginx nchan", _nginx, _nchan, _missing_nginx),
        _node("Socket.IO, Redis adapter", "socket_io", _socket_io),
        _python("litestar.channels", "litestar", "litestar_channels", _plain),
        _python("python-socketio", "socketio", "python_socketio", _python_socketio),
    ]


def present(folder: Path, wanted: list[str] | None = None) -> list[Server]:
    """Return who can run here and is wanted; say why the others cannot."""
    servers = [
        server
        for number, server in enumerate(everybody(folder))
        if number < _NEEDED or wanted is None or any(part in server.name for part in wanted)
    ]
    for server in servers:
        if reason := server.missing():
            print(f"skipped: {server.name}: {reason}")
    return [server for server in servers if not server.missing()]


def _python(name: str, module: str, script: str, plan: Callable[[Place, bool], Plan]) -> Server:
    program = INSTALLED / "bin" / "python"

    def missing() -> str:
        code = f"import {module}, redis, uvloop"
        if program.exists() and not subprocess.run([program, "-c", code], check=False).returncode:
            return ""
        return _NOT_INSTALLED

    return Server(name, _command(lambda: [str(program)], f"{script}.py"), plan, missing)


def _node(name: str, script: str, plan: Callable[[Place, bool], Plan]) -> Server:
    def program() -> list[str]:
        return ["env", f"NODE_PATH={INSTALLED / 'node_modules'}", str(node.find())]

    def missing() -> str:
        try:
            node.find()
        except ConfigError as error:
            return str(error)
        return "" if (INSTALLED / "node_modules" / "ws").exists() else _NOT_INSTALLED

    return Server(name, _command(program, f"{script}.cjs"), plan, missing)


def _command(program: Callable[[], list[str]], script: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        path = _HERE / "peers" / script
        return [*program(), str(path), str(place.port), str(place.redis_port)]

    return command


def _channel(personal: bool) -> str:
    return f"user:{CHANNEL}" if personal else "feed:0"


def _request(personal: bool) -> str:
    return "/user:$c" if personal else "/feed:0"


def _plain(_place: Place, personal: bool) -> Plan:
    return Plan(request=_request(personal), publication=redis_publish(_channel(personal), PAYLOAD))


def _rooms(personal: bool, publication: bytes) -> Plan:
    """Speak Socket.IO 5 over Engine.IO 4: open, connect to the namespace, join a room."""
    room = _request(personal)[1:]
    return Plan(
        request="/socket.io/?EIO=4&transport=websocket",
        dialog=[
            ("wait", "0{"),
            ("send", "40"),
            ("wait", "40{"),
            ("send", f'420["join","{room}"]'),
            ("wait", "430"),
        ],
        ping="2",
        pong="3",
        publication=publication,
    )


def _socket_io(_place: Place, personal: bool) -> Plan:
    room = _channel(personal)
    data = msgspec.json.decode(PAYLOAD)
    packet = {"type": 2, "data": ["message", data], "nsp": "/"}
    options = {"rooms": [room], "except": [], "flags": {}}
    message = msgspec.msgpack.encode(["bench", packet, options])
    return _rooms(personal, redis_publish(f"socket.io#/#{room}#", message))


def _python_socketio(_place: Place, personal: bool) -> Plan:
    message = {
        "method": "emit",
        "event": "message",
        "data": [msgspec.json.decode(PAYLOAD)],
        "binary": False,
        "namespace": "/",
        "room": _channel(personal),
        "skip_sid": None,
        "callback": None,
        "host_id": "bench",
    }
    return _rooms(personal, redis_publish("socketio", msgspec.json.encode(message)))


def _missing_nginx() -> str:
    if shutil.which("nginx") and (_NGINX_MODULES / "ngx_nchan_module.so").exists():
        return ""
    return "not installed: apt-get install nginx-light libnginx-mod-nchan"


def _nginx(place: Place) -> list[str]:
    text = (_HERE / "peers" / "nchan.conf").read_text()
    values = {"port": place.port, "modules": _NGINX_MODULES, "folder": place.folder}
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    path = place.folder / "nginx.conf"
    path.write_text(text)
    return ["nginx", "-c", str(path), "-e", str(place.folder / "error.log")]


def _nchan(_place: Place, personal: bool) -> Plan:
    head = (
        f"POST /publish/{_channel(personal)} HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(PAYLOAD)}\r\n\r\n"
    )
    return Plan(
        request=_request(personal), publication=head.encode() + PAYLOAD, publishes_by_http=True
    )
