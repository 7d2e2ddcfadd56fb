"""Pure rules of contacts: birthdays without a year, and what is stored of tags and a context."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from core.errors import DomainError
from hub.domains.contacts.schemas import YEAR_UNKNOWN, Context


def stored_birthday(text: str | None) -> date | None:
    """Return the date that stands for a birthday, or raise request.invalid."""
    if text is None:
        return None
    try:
        if text.startswith("--"):
            return date.fromisoformat(f"{YEAR_UNKNOWN}-{text[2:]}")
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year <= YEAR_UNKNOWN:
        problem = {"source": "body", "field": "birthday", "message": "No such date"}
        raise DomainError("request.invalid", errors=[problem])
    return found


def shown_birthday(stored: date | None) -> str | None:
    """Return a birthday as it is written: without a year that is not known."""
    if stored is None:
        return None
    text = stored.isoformat()
    return f"-{text[4:]}" if stored.year == YEAR_UNKNOWN else text


def stored_tags(tags: Sequence[str]) -> list[str]:
    """Return tags as they are kept: each once, without blanks around it."""
    return list(dict.fromkeys(tag.strip() for tag in tags))


def stored_context(context: Context) -> dict[str, Any]:
    """Return what of a context is stored: nothing of what says nothing."""
    parts: dict[str, Any] = msgspec.to_builtins(context)
    return {name: part for name, part in parts.items() if part}
