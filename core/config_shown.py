"""Settings as operators may see them: every value, no secret."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec import Meta
from msgspec.structs import fields

from core.config import Section, Settings


def shown(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the settings as plain values with secrets and URL passwords redacted."""
    return {section.name: _shown(getattr(settings, section.name)) for section in fields(settings)}


def _shown(section: Section) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for item in fields(section):
        value = getattr(section, item.name)
        if item.name in {"providers", "policies"}:
            shown[item.name] = {name: _shown(single) for name, single in value.items()}
        else:
            shown[item.name] = _redacted(value, _is_secret(item.type))
    return shown


def _is_secret(hint: Any) -> bool:  # noqa: ANN401  # a type annotation
    return any(
        isinstance(meta, Meta) and (meta.extra or {}).get("secret")
        for meta in getattr(hint, "__metadata__", ())
    )


def _redacted(value: object, secret: bool) -> object:
    if not secret or not isinstance(value, str) or not value:
        return value
    parts = urlsplit(value)
    if not parts.scheme or not parts.hostname:
        return "[redacted]"
    user = f"{parts.username}:[redacted]@" if parts.password else ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{parts.hostname}{port}", parts.path, "", ""))
