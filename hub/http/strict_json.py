"""Bodies that are read in one way only: JSON that nests and repeats nothing beyond reason.

msgspec takes the last of two members of one name where a proxy or another service may take the
first, and follows nesting as far as the stack goes (RFC 8259, 4 and 9).
"""

import json
import re
from typing import Any, Final

from core.errors import DomainError

BODY_MAX_BYTES: Final = 131_072
"""The bound of REST's bodies: what is looked at here costs up to a quarter of a second per MiB."""
DEPTH_MAX: Final = 32
"""Far more than any body of ours has."""
# One without an end reaches to the end of the body: nothing is looked at twice.
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*\\?"?', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def check(body: bytes) -> None:
    """Raise request.malformed for what is no JSON, too deep, or names one member twice."""
    if _is_too_deep(body):
        raise DomainError("request.malformed", f"The body nests deeper than {DEPTH_MAX} levels.")
    # An object that could repeat a member has two colons at least.
    if body.count(b":") < 2:  # noqa: PLR2004
        return
    try:
        _DECODER.decode(body.decode())
    except ValueError:  # also a text that is no UTF-8
        raise DomainError("request.malformed") from None


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    # Each pass takes the innermost pairs away; where it finds none, brackets do not match.
    for _ in range(DEPTH_MAX):
        rest = brackets.replace(b"[]", b"")
        if len(rest) in {0, len(brackets)}:
            return bool(rest)
        brackets = rest
    return True


def _unique(members: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in members}
    if len(names) != len(members):
        raise DomainError("request.malformed", "The body names a member twice.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique)
