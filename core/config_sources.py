"""Where settings come from: TOML files and the environment. What they mean is `core.config`'s."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from core.errors import ConfigError

ALIASES: Final[dict[str, tuple[str, str]]] = {
    "DATABASE_URL": ("database", "url"),
    "DATABASE_WORKER_URL": ("database", "worker_url"),
    "DATABASE_SYSTEM_URL": ("database", "system_url"),
    "DATABASE_OWNER_URL": ("database", "owner_url"),
    "DATABASE_DIRECT_URL": ("database", "direct_url"),
    "DATABASE_SUPERUSER_URL": ("database", "superuser_url"),
    "DATABASE_REPLICA_URL": ("database", "replica_url"),
    "REDIS_URL": ("redis", "url"),
    "MQTT_URL": ("mqtt", "url"),
}
PREFIX: Final = "PINGHUB_"
_TEST_PREFIX: Final = "PINGHUB_TEST_"
_LISTS: Final = {
    ("server", "allowed_origins"),
    ("server", "trusted_proxies"),
    ("auth", "redirect_uris"),
    ("passkeys", "origins"),
    ("passkeys", "apple_apps"),
    ("passkeys", "android_apps"),
    ("gateway", "readers"),
}
_JSON: Final = {("auth", "providers"), ("limits", "policies")}
_OWN_VARIABLES: Final = {"PINGHUB_HOME", "PINGHUB_CONFIG"}


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """Return a file's tables, none where there is no file, or raise ConfigError."""
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    for section, values in content.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: `{section}` must be a table: [{section}]")
    return content


def read_environment(environ: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Return values by section and key, or raise ConfigError naming the variable."""
    found: dict[tuple[str, str], Any] = {}
    for alias, target in ALIASES.items():
        if alias in environ:
            found[target] = environ[alias]
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(_TEST_PREFIX) or name in _OWN_VARIABLES:
            continue
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not separator:
            raise ConfigError(f"{name} is not a setting: use {PREFIX}SECTION__KEY")
        found[section, key] = _parse(name, (section, key), value)
    return found


def _parse(name: str, place: tuple[str, str], value: str) -> Any:  # noqa: ANN401  # checked as a whole
    if place in _LISTS:
        return [item for item in value.split(",") if item]
    if place not in _JSON:
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ConfigError(f"{name} is not JSON") from None
