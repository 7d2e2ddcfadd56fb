"""The embedded MQTT broker: mosquitto where there is one, else amqtt; its logins and its fences.

The user `hub` reads and writes everything under ping/v1; any other user is a gateway, named by its
id, that writes under its own subtree and reads its own commands. Everything is in `home/mqtt`.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final, Literal

from core import mqtt_address
from core.errors import ConfigError
from hub.embedded import amqtt, child, mosquitto
from hub.embedded.private import owned_folder, write_private

HUB_LOGIN: Final = "hub"
# Mosquitto's own `$7$`: PBKDF2 with SHA-512. Passwords are random, so few rounds suffice.
_ROUNDS: Final = 101
_SALT_BYTES: Final = 12
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
    ) -> None:
        super().__init__(process, log_path, _url(port, HUB_LOGIN, add_login(home, HUB_LOGIN)))
        self._home = home
        self._port = port
        self.version: Literal["5", "3.1.1"] = "5" if is_mosquitto else "3.1.1"
        self.shared_subscription = is_mosquitto

    def gateway_url(self, gateway: str) -> str:
        """Return the address with the gateway's login, which is created on first use."""
        return _url(self._port, gateway, add_login(self._home, gateway))


def start(home: Path, port: int, *, implementation: Literal["", "amqtt"] = "") -> Mqtt:
    """Start the broker on 127.0.0.1:`port`, or raise ConfigError with the remedy.

    Call it from the thread that lives as long as the broker shall.
    """
    folder = owned_folder(home / "mqtt")
    password = add_login(home, HUB_LOGIN)
    program = None if implementation == "amqtt" else mosquitto.find()
    if program is not None:
        command = mosquitto.command(program, folder, port)
        environment = mosquitto.environment(program)
    elif amqtt.installed():
        command = amqtt.command(folder, port)
        environment = None
    else:
        raise ConfigError(
            "an MQTT broker is missing: `make up` fetches one, or install mosquitto"
            " (Debian: apt-get install mosquitto), or set MQTT_URL"
        )
    process, log_path = child.start_service(
        "MQTT broker",
        command,
        folder=folder,
        port=port,
        ready=lambda: admits(_url(port, HUB_LOGIN, password)),
        environment=environment,
    )
    return Mqtt(process, log_path, home=home, port=port, is_mosquitto=program is not None)


def add_login(home: Path, name: str) -> str:
    """Return the password of a login; a new one is known to a running broker at once."""
    if not _LOGIN.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be an MQTT login: use letters, digits, - and _")
    folder = owned_folder(home / "mqtt")
    path = folder / "logins.json"
    logins: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in logins:
        logins[name] = secrets.token_urlsafe(24)
        write_private(path, json.dumps(logins, indent=2))
        lines = [f"{login}:{_hashed(password)}\n" for login, password in logins.items()]
        write_private(folder / "passwords", "".join(lines))
        if (pid := child.pid_in(folder / "pid")) is not None:
            os.kill(pid, signal.SIGHUP)
    return logins[name]


def _url(port: int, login: str, password: str) -> str:
    return f"mqtt://{login}:{password}@127.0.0.1:{port}"


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def admits(url: str) -> bool:
    """Say whether the broker at this address accepts its login."""
    address = mqtt_address.parse(url, "mqtt.url")
    client = f"ready-{secrets.token_hex(4)}"
    fields = [client, address.username, address.password]
    # CONNECT of MQTT 3.1.1: level 4, clean session with user name and password, 5 s keep-alive.
    body = b"\x00\x04MQTT\x04\xc2\x00\x05"
    body += b"".join(len(field.encode()).to_bytes(2, "big") + field.encode() for field in fields)
    try:
        with socket.create_connection((address.host, address.port), timeout=2) as connection:
            connection.sendall(bytes((0x10, len(body))) + body)
            reply = connection.recv(4)
            connection.sendall(b"\xe0\x00")
    except OSError:
        return False
    return reply == b"\x20\x02\x00\x00"
