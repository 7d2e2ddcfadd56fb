"""The embedded MQTT broker: mosquitto where there is one, else amqtt; its logins and its fences.

The user `hub` reads and writes everything under ping/v1; any other user is a gateway, named by its
id, that writes under its own subtree and reads its own commands. Everything is in `home/mqtt`.
Certificates, and gateways that come and go while it runs, are mosquitto's alone.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

from core import config, mqtt_address
from core.errors import ConfigError
from hub.embedded import amqtt, child, mosquitto, mosquitto_files
from hub.embedded.mosquitto_files import HUB_LOGIN, Door
from hub.embedded.private import owned_folder, write_private
from hub.providers import dynamic_security
from hub.providers.dynamic_security import Command, CreateClient, CreateRole, RoleName
from hub.providers.mqtt_sender import MqttSender

# What would be a wildcard or a separator in a topic is no name.
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Mqtt(child.Service):
    """A running broker; `url` is the hub's, `gateway_url` makes a gateway known at once."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log_path: Path,
        *,
        home: Path,
        port: int,
        is_mosquitto: bool,
        door: Door | None = None,
        read_revocations_ns: int = 0,
    ) -> None:
        super().__init__(process, log_path, _url(port, HUB_LOGIN, add_login(home, HUB_LOGIN)))
        self._home = home
        self._port = port
        self._door = door if is_mosquitto else None
        self._read_revocations_ns = read_revocations_ns
        self.version: Literal["5", "3.1.1"] = "5" if is_mosquitto else "3.1.1"
        self.shared_subscription = is_mosquitto
        self.dynamic_security = is_mosquitto

    @property
    def certificates_url(self) -> str:
        """Where gateways with certificates connect; empty when they cannot."""
        return f"mqtts://127.0.0.1:{self._door.port}" if self._door else ""

    @property
    def revocations_path(self) -> Path:
        """The list of revoked certificates that the broker reads."""
        return self._home / "mqtt" / "crl.pem"

    def gateway_url(self, gateway: str) -> str:
        """Return the address with the gateway's login, which is created on first use."""
        is_new = gateway not in _logins(self._home)
        password = add_login(self._home, gateway)
        if is_new and self.dynamic_security:
            _tell(self.url, _admission(gateway, password))
        return _url(self._port, gateway, password)

    def tend(self) -> None:
        """Let the broker read the list of revoked certificates when it has changed."""
        now_ns = _changed_ns(self.revocations_path)
        # Mosquitto dies of a list that is not there when it looks.
        if self._door and self.running and now_ns not in {0, self._read_revocations_ns}:
            self._read_revocations_ns = now_ns
            os.kill(self.pid, signal.SIGHUP)


def start(
    home: Path, port: int, *, implementation: Literal["", "amqtt"] = "", door: Door | None = None
) -> Mqtt:
    """Start the broker on 127.0.0.1:`port`, or raise ConfigError with the remedy.

    Call it from the thread that lives as long as the broker shall.
    """
    folder = owned_folder(home / "mqtt")
    password = add_login(home, HUB_LOGIN)
    program = None if implementation == "amqtt" else mosquitto.find()
    if program is not None:
        child.stop_stale(folder / "pid")
        if door is not None:
            child.require_free(door.port, "MQTT over TLS")
        mosquitto_files.write_logins(folder, _logins(home))
        plugin = mosquitto.plugin(program)
        mosquitto_files.write_configuration(folder, port, plugin=plugin, door=door)
        command = [str(program), "-c", str(folder / "mosquitto.conf")]
        environment = mosquitto.environment(program)
    elif amqtt.installed():
        command = amqtt.command(folder, port)
        environment = None
    else:
        raise ConfigError(
            "an MQTT broker is missing: `make up` fetches one, or install mosquitto"
            " (Debian: apt-get install mosquitto), or set MQTT_URL"
        )
    read_revocations_ns = _changed_ns(folder / "crl.pem")
    process, log_path = child.start_service(
        "MQTT broker",
        command,
        folder=folder,
        port=port,
        ready=lambda: admits(_url(port, HUB_LOGIN, password)),
        environment=environment,
    )
    return Mqtt(
        process,
        log_path,
        home=home,
        port=port,
        is_mosquitto=program is not None,
        door=door,
        read_revocations_ns=read_revocations_ns,
    )


def add_login(home: Path, name: str) -> str:
    """Return the password of a login, which is made when there is none.

    A mosquitto learns of it when it starts, amqtt at once.
    """
    if not _LOGIN.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be an MQTT login: use letters, digits, - and _")
    logins = _logins(home)
    if name not in logins:
        logins[name] = secrets.token_urlsafe(24)
        write_private(owned_folder(home / "mqtt") / "logins.json", json.dumps(logins, indent=2))
    return logins[name]


def _changed_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _logins(home: Path) -> dict[str, str]:
    path = home / "mqtt" / "logins.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _admission(gateway: str, password: str) -> list[Command]:
    role = dynamic_security.role_name(gateway)
    return [
        CreateRole(role, dynamic_security.gateway_acls(gateway)),
        CreateClient(gateway, [RoleName(role)], password),
    ]


def _tell(url: str, commands: Sequence[Command]) -> None:
    """Command the running broker; the caller's thread may have a loop of its own."""

    async def execute() -> None:
        sender = MqttSender(config.Mqtt(url=url))
        try:
            await dynamic_security.execute(sender, commands)
        finally:
            await sender.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, execute()).result()


def _url(port: int, login: str, password: str) -> str:
    return f"mqtt://{login}:{password}@127.0.0.1:{port}"


def admits(url: str, tls: ssl.SSLContext | None = None) -> bool:
    """Say whether the broker at this address accepts its login; `tls` is for one with `mqtts`."""
    address = mqtt_address.parse(url, "mqtt.url")
    client = f"ready-{secrets.token_hex(4)}"
    fields = [client, address.username, address.password]
    # CONNECT of MQTT 3.1.1: level 4, clean session with user name and password, 5 s keep-alive.
    body = b"\x00\x04MQTT\x04\xc2\x00\x05"
    body += b"".join(len(field.encode()).to_bytes(2, "big") + field.encode() for field in fields)
    try:
        with ExitStack() as open_ones:
            connection = open_ones.enter_context(
                socket.create_connection((address.host, address.port), timeout=2)
            )
            if tls is not None:
                connection = open_ones.enter_context(
                    tls.wrap_socket(connection, server_hostname=address.host)
                )
            connection.sendall(bytes((0x10, len(body))) + body)
            reply = connection.recv(4)
            connection.sendall(b"\xe0\x00")
    except OSError:
        return False
    return reply == b"\x20\x02\x00\x00"
