"""What mosquitto reads: its configuration, what its dynamic-security plugin knows, certificates.

Two doors: a plain one on loopback for logins, and one with TLS 1.3 where a certificate of the
home's own authority is the login. docs/deploy/mosquitto has the same for production, with reasons.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from core import authority as ca
from core import clock
from core.authority import Authority
from hub.embedded.private import write_private
from hub.providers.dynamic_security import Acl, gateway_acls, role_name

PACKET_MAX_BYTES: Final = 65_536
HUB_LOGIN: Final = "hub"
SERVER_NAMES: Final = ("localhost", "127.0.0.1", "mosquitto")
# Made anew at each start, so long only for one that is left running.
_SERVER_DAYS: Final = 825
# Passwords are random, so few rounds suffice.
_ROUNDS: Final = 101
_SALT_BYTES: Final = 12
_HUB_ACLS: Final = (
    Acl("publishClientSend", "ping/v1/#"),
    Acl("publishClientReceive", "ping/v1/#"),
    Acl("subscribePattern", "ping/v1/#"),
    Acl("subscribePattern", "$share/+/ping/v1/#"),
    Acl("publishClientSend", "$CONTROL/dynamic-security/v1"),
    Acl("publishClientReceive", "$CONTROL/dynamic-security/v1/response"),
    Acl("subscribeLiteral", "$CONTROL/dynamic-security/v1/response"),
)


class Door(msgspec.Struct, frozen=True):
    """Where gateways come in by certificate, and who issues the certificates."""

    port: int
    authority: Authority


def write_configuration(
    folder: Path, port: int, *, plugin: Path, door: Door | None, bind: str = "127.0.0.1"
) -> None:
    """Write mosquitto.conf and, for the door, the server's certificate and whom to refuse."""
    lines = [
        "per_listener_settings false",
        "allow_anonymous false",
        # No acl_file beside it: what the plugin leaves open would fall to that, which grants every
        # SUBSCRIBE.
        f"plugin {plugin}",
        f"plugin_opt_config_file {folder / 'dynamic-security.json'}",
        # Ours have some hundred bytes; without it a login may make everybody carry 256 MB.
        f"max_packet_size {PACKET_MAX_BYTES}",
        # Without it each small message waits up to 40 ms for the answer to the one before.
        "set_tcp_nodelay true",
        # Retained presence outlives a restart. Taps do not rely on this: gateways keep them.
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 5",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
        f"listener {port} {bind}",
    ]
    if door is not None:
        write_certificates(folder, door.authority)
        lines += [
            f"listener {door.port} {bind}",
            f"cafile {folder / 'ca.pem'}",
            f"certfile {folder / 'server.pem'}",
            f"keyfile {folder / 'server.key'}",
            f"crlfile {folder / 'crl.pem'}",
            "tls_version tlsv1.3",
            "require_certificate true",
            "use_identity_as_username true",
            # So that nobody takes another one's place by the name of its session.
            "use_username_as_clientid true",
        ]
    if os.geteuid() == 0:
        # Started by root it would become a user who may not read its own files.
        lines.append("user root")
    write_private(folder / "mosquitto.conf", "\n".join((*lines, "")))


def write_certificates(folder: Path, authority: Authority) -> None:
    """Write the server's key and certificate, whom it trusts, and a list of revoked ones.

    The list is the worker's to replace; one that is there is kept.
    """
    now = clock.now()
    server = ca.issue_server(authority, names=SERVER_NAMES, now=now, days=_SERVER_DAYS)
    write_private(folder / "server.key", server.key)
    write_private(folder / "server.pem", server.certificate)
    write_private(folder / "ca.pem", ca.trusted_pem(authority))
    revoked = folder / "crl.pem"
    if not revoked.exists():
        # Lower than any number of the worker's, which are times.
        write_private(revoked, ca.revocation_list(authority, [], number=0, now=now).decode())


def write_logins(folder: Path, logins: Mapping[str, str]) -> None:
    """Give each login its password and its rights; what else the plugin knows stays.

    Only while the broker is down: it has all this in memory and writes it back.
    """
    path = folder / "dynamic-security.json"
    known = _known(path)
    ours = {name: _login(name, password) for name, password in logins.items()}
    roles = {
        role_of(name): {
            "rolename": role_of(name),
            "acls": msgspec.to_builtins(_HUB_ACLS if name == HUB_LOGIN else gateway_acls(name)),
        }
        for name in logins
    }
    content = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": _merged(known.clients, "username", ours),
        "roles": _merged(known.roles, "rolename", roles),
    }
    write_private(path, json.dumps(content, indent=1))


def write_passwords(folder: Path, logins: Mapping[str, str]) -> None:
    """Write the password file that the configuration for production asks for."""
    lines: list[str] = []
    for name, password in logins.items():
        made = _login(name, password)
        lines.append(f"{name}:$7${made['iterations']}${made['salt']}${made['password']}\n")
    write_private(folder / "passwords", "".join(lines))


def role_of(login: str) -> str:
    """Return the name of a login's role."""
    return HUB_LOGIN if login == HUB_LOGIN else role_name(login)


def _login(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return {
        "username": name,
        "roles": [{"rolename": role_of(name)}],
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": _ROUNDS,
    }


class _Known(msgspec.Struct, frozen=True):
    """What the plugin has written."""

    clients: list[dict[str, Any]] = []
    roles: list[dict[str, Any]] = []


def _known(path: Path) -> _Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except (FileNotFoundError, msgspec.MsgspecError):
        return _Known()  # gateways come back by the worker's reconciliation


def _merged(
    known: list[dict[str, Any]], key: str, ours: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    return [*(item for item in known if item.get(key) not in ours), *ours.values()]
