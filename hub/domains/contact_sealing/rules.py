"""Pure rules of addresses: their normal forms."""

import re
from typing import Final
from urllib.parse import urlsplit

from core import normal_forms
from hub.domains.contacts.schemas import MethodKind

_LINKEDIN: Final = re.compile(r"^(?:[a-z]{2,3}\.)?linkedin\.com$")
_HANDLE: Final = re.compile(r"^@?([A-Za-z0-9_]{1,15})$")
# An app that makes an address a link would run what somebody's card says.
_RUNS: Final = re.compile(r"\s*(?:javascript|vbscript|data)\s*:", re.IGNORECASE)
_SLUG: Final = re.compile(r"^@?([^\s/?#@:]{3,100})$")


def normal_form(kind: MethodKind, value: str, region: str | None) -> str | None:
    """Return what two spellings of one address share; None: it is no e-mail address, or a script.

    Of other kinds, what is no address by any rule is compared as it is, without case and blanks:
    people keep short codes, extensions and numbers without their country.
    """
    if _RUNS.match(value):
        return None
    match kind:
        case "email":
            return normal_forms.email(value)
        case "phone":
            form = normal_forms.phone(value, region)
        case "linkedin":
            form = _linkedin(value)
        case "twitter":
            form = _twitter(value)
        case "url":
            form = _url(value)
    return form if form is not None else "raw:" + "".join(value.split()).lower()


def _linkedin(value: str) -> str | None:
    """Return the name of a profile in lower case, from its address or as it is."""
    parts = _split(value)
    if parts is not None and _LINKEDIN.match(parts[0].removeprefix("www.")):
        names = [name for name in parts[1].split("/") if name]
        slug = names[-1] if names else ""
    else:
        slug = value.strip()
    found = _SLUG.match(slug)
    return found[1].lower() if found else None


def _twitter(value: str) -> str | None:
    """Return a handle in lower case without its `@`, from its address or as it is."""
    parts = _split(value)
    if parts is not None and parts[0].removeprefix("www.") in {"twitter.com", "x.com"}:
        value = parts[1].strip("/")
    found = _HANDLE.match(value.strip())
    return found[1].lower() if found else None


def _url(value: str) -> str | None:
    """Return host and path: neither scheme, `www.` nor a last slash make it another page."""
    parts = _split(value)
    if parts is None:
        return None
    host, path, query = parts
    return host.removeprefix("www.") + path.rstrip("/") + (f"?{query}" if query else "")


def _split(value: str) -> tuple[str, str, str] | None:
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = parts.hostname
    except ValueError:
        return None
    if host is None or "." not in host:
        return None
    return host, parts.path, parts.query
