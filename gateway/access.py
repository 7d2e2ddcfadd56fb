"""How this gateway reaches its hub: by its certificate where it was claimed, else by a login."""

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec

from core import config, mqtt_address
from core.config import Settings
from core.errors import ConfigError
from core.mqtt_address import MqttAddress
from gateway import identity
from gateway.paths import identity_path

# What would be a wildcard or a separator in a topic is no id.
_GATEWAY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN_CHARS: Final = 16


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, and as whom to connect."""

    gateway: str
    address: MqttAddress
    client_id: str
    """The same at each start, and unknown to every other login.

    A broker ends the connection of whoever had an id before, without asking whose it is.
    """
    identity_path: Path | None = None
    """Folder of key and certificate; None: the address holds a login."""


def access_of(settings: Settings) -> Access:
    """Return how to connect, or raise ConfigError naming what is missing."""
    folder = identity_path(settings)
    try:
        claimed = identity.load(folder)
        if claimed is not None:
            identity.validity(folder / identity.CERTIFICATE)
            identity.present(identity.tls_context(), folder)
    except (identity.IdentityError, OSError) as error:
        raise ConfigError(
            f"the gateway's identity is damaged: {error}: claim it anew with --force"
        ) from None
    if claimed is not None:
        return Access(
            gateway=claimed.gateway_id,
            address=mqtt_address.parse(claimed.mqtt_url, str(folder / identity.NAMES)),
            client_id=f"gw-{claimed.gateway_id}-{claimed.client_token}",
            identity_path=folder,
        )
    return _login(settings.gateway)


def _login(gateway: config.Gateway) -> Access:
    name = config.require(gateway.id, "gateway.id")
    if not _GATEWAY_ID.fullmatch(name):
        raise ConfigError("gateway.id: use letters, digits, - and _, at most 64")
    url = config.require(gateway.mqtt_url, "gateway.mqtt_url")
    address = mqtt_address.parse(url, "gateway.mqtt_url", default_username=name)
    token = hashlib.sha256(address.password.encode()).hexdigest()[:_TOKEN_CHARS]
    return Access(gateway=name, address=address, client_id=f"gw-{name}-{token}")
