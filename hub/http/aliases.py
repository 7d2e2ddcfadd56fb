"""Second names of routes: a request under an alias is the same request under its route's own path.

What comes after sees no difference: who may do it, limits, scopes, idempotency, metrics and audit
are the route's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from litestar.types import ASGIApp, Receive, Scope, Send

_PART: Final = re.compile(r"\{(\w+)\}")


def aliased(aliases: Mapping[str, str], inner: ASGIApp) -> ASGIApp:
    """Return the application that also serves routes under their aliases.

    Both paths are templates, such as `/api/contacts/{id}`, with the same names in braces.
    """
    patterns = [(_pattern(alias), target) for alias, target in aliases.items()]
    beginnings = tuple(alias.partition("{")[0] for alias in aliases)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(beginnings):
            path = _own_path(scope["path"], patterns)
            if path is not None:
                renamed = {**scope, "path": path, "raw_path": quote(path).encode()}
                scope = cast("Any", renamed)
        await inner(scope, receive, send)

    return serve


def _own_path(path: str, patterns: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, target in patterns:
        if found := pattern.fullmatch(path):
            return _PART.sub(lambda part: found[part[1]], target)
    return None


def _pattern(alias: str) -> re.Pattern[str]:
    pieces = _PART.split(alias)
    # Every second piece is a name.
    texts = [f"(?P<{x}>[^/]+)" if at % 2 else re.escape(x) for at, x in enumerate(pieces)]
    return re.compile("".join(texts) + "/?")
