"""Which pages and apps the hub takes for its own: their origins, and the domain of passkeys."""

import base64
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from core import config
from core.errors import ConfigError

LOCAL_NAME: Final = "localhost"
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
_APPLE_APP: Final = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,155}")
_ANDROID_APP: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_.]{0,254})/((?:[0-9A-F]{2}:){31}[0-9A-F]{2})"
)


class RelyingParty(Struct, frozen=True):
    """What passkeys belong to (WebAuthn, 4: Relying Party)."""

    id: str
    origins: tuple[str, ...]
    takes_sign_ups: bool


class AndroidApp(Struct, frozen=True):
    """An app as its signing certificate names it."""

    package: str
    fingerprint: str
    """SHA-256 of the certificate, `AB:CD:…`."""


def own_origins(settings: config.Settings) -> tuple[str, ...]:
    """Return the origins whose pages may use the hub: its own and those of the settings."""
    own = urlsplit(settings.server.public_url)
    port = settings.server.port
    names = [f"{own.scheme}://{own.netloc}"]
    if settings.server.mode == "development":
        names += [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]
    return tuple(dict.fromkeys((*names, *settings.server.allowed_origins)))


def relying_party(settings: config.Settings) -> RelyingParty | None:
    """Return what passkeys belong to; None: nothing, since browsers make none for an address.

    Raises ConfigError.
    """
    given = settings.passkeys
    own = urlsplit(settings.server.public_url)
    rp_id = given.rp_id or _name_of(own.hostname or "")
    if given.rp_id and (not _DOMAIN.fullmatch(rp_id) or _is_address(rp_id)):
        raise ConfigError("passkeys.rp_id is not a domain: write it in lower case, without a port")
    for origin in given.origins:
        if not _belongs(origin, rp_id):
            raise ConfigError(
                f"passkeys.origins: each is https://{rp_id or '<rp_id>'} or a host below it"
            )
    apple, android = given.apple_apps, android_apps(given)
    if not all(map(_APPLE_APP.fullmatch, apple)):
        raise ConfigError("passkeys.apple_apps: each is <team id>.<bundle id>")
    if not rp_id:
        return None
    # A page of this machine is reached by its name too, and only there it may have passkeys.
    port = f":{own.port}" if own.port else ""
    local = [f"{own.scheme}://{LOCAL_NAME}{port}"] if rp_id == LOCAL_NAME else []
    pages = [origin for origin in (*own_origins(settings), *local) if _belongs(origin, rp_id)]
    # What apps of each kind say in place of a page's origin.
    apps = [f"https://{rp_id}"] if apple else []
    apps += [_android_origin(app) for app in android]
    takes_sign_ups = not settings.auth.providers if given.sign_up is None else given.sign_up
    return RelyingParty(
        id=rp_id,
        origins=tuple(dict.fromkeys((*pages, *given.origins, *apps))),
        takes_sign_ups=takes_sign_ups,
    )


def android_apps(given: config.Passkeys) -> list[AndroidApp]:
    """Return the apps of the settings, or raise ConfigError."""
    apps: list[AndroidApp] = []
    for text in given.android_apps:
        found = _ANDROID_APP.fullmatch(text)
        if found is None:
            raise ConfigError("passkeys.android_apps: each is <package>/<SHA-256, AB:CD:…>")
        apps.append(AndroidApp(found[1], found[2]))
    return apps


def _android_origin(app: AndroidApp) -> str:
    digest = bytes.fromhex(app.fingerprint.replace(":", ""))
    return "android:apk-key-hash:" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _name_of(host: str) -> str:
    """Return the domain of a host; "" for an address, but the name of this machine for its own."""
    if not _is_address(host):
        return host
    return LOCAL_NAME if ipaddress.ip_address(host).is_loopback else ""


def _belongs(origin: str, rp_id: str) -> bool:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if origin != f"{parts.scheme}://{parts.netloc}" or parts.username is not None:
        return False
    is_below = bool(rp_id) and (host == rp_id or host.endswith(f".{rp_id}"))
    return is_below and (parts.scheme == "https" or (parts.scheme == "http" and host == LOCAL_NAME))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
