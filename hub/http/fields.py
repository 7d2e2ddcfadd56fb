"""The header fields of answers and conditions, as the OpenAPI document lists them.

Each is described once, in the components, and referred to wherever an answer may carry it.
"""

from collections.abc import Iterator
from typing import Final

from hub.http.shapes import Json

_LIMITED: Final = ("RateLimit-Policy", "RateLimit")
# Refused before it is counted, or not counted.
_UNCOUNTED: Final = frozenset({"401", "500", "502", "503", "504"})
_WAITED: Final = frozenset({"429", "503"})
_CONDITION: Final = "IfNoneMatch"
_NOT_MODIFIED: Final = "NotModified"

HEADERS: Final[dict[str, Json]] = {
    "ETag": {
        "description": "The version of what is answered, for `If-None-Match` and `If-Match`.",
        "schema": {"type": "string", "examples": ['"EaZj9thxRDUr"']},
    },
    "Idempotent-Replayed": {
        "description": "`true` where this is the stored answer to the same request.",
        "schema": {"const": "true", "type": "string"},
    },
    "RateLimit": {
        "description": (
            "What is left of the limit: `r` requests at once, and all of them again after `t`"
            " seconds. Absent where a request was refused before it was counted, and while limits"
            " cannot be counted."
        ),
        "schema": {
            "type": "string",
            "pattern": r'^"[a-z_]+";r=[0-9]+;t=[0-9]+$',
            "examples": ['"default";r=598;t=1'],
        },
    },
    "RateLimit-Policy": {
        "description": (
            "The limit that counts the request: `q` requests in `w` seconds"
            " (draft-ietf-httpapi-ratelimit-headers). Absent where `RateLimit` is."
        ),
        "schema": {
            "type": "string",
            "pattern": r'^"[a-z_]+";q=[0-9]+;w=[0-9]+$',
            "examples": ['"default";q=600;w=60'],
        },
    },
    "Retry-After": {
        "description": "Seconds after which the request may succeed.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750), or that it has to be anew (RFC 9470).",
        "schema": {"type": "string"},
    },
}
PARAMETERS: Final[dict[str, Json]] = {
    _CONDITION: {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": (
            "The `ETag` of the answer that one has: while it holds, the answer is 304 without a"
            " body."
        ),
        "schema": {"type": "string"},
    }
}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


RESPONSES: Final[dict[str, Json]] = {
    _NOT_MODIFIED: {
        "description": "What one has still holds: its tag was in `If-None-Match`.",
        "headers": {name: _reference(name) for name in ("ETag", *_LIMITED)},
    }
}


def add(operation: Json, *, is_tagged: bool) -> None:
    """List what the answers of an operation carry; `is_tagged`: one may ask whether one holds."""
    responses: Json = operation["responses"]
    asked = {parameter["name"] for parameter in operation.get("parameters", ())}
    carried = {status: list(_carried(status, asked, is_tagged=is_tagged)) for status in responses}
    if "429" in responses:
        for status in responses.keys() - _UNCOUNTED:
            carried[status] += _LIMITED
    for status, names in carried.items():
        if names:
            given: Json = responses[status].get("headers", {})
            responses[status]["headers"] = given | {name: _reference(name) for name in names}
    if is_tagged:
        operation.setdefault("parameters", []).append(
            {"$ref": f"#/components/parameters/{_CONDITION}"}
        )
        responses["304"] = {"$ref": f"#/components/responses/{_NOT_MODIFIED}"}


def _carried(status: str, asked: set[str], *, is_tagged: bool) -> Iterator[str]:
    if status.startswith("2"):
        if is_tagged or "If-Match" in asked:
            yield "ETag"
        if "Idempotency-Key" in asked:
            yield "Idempotent-Replayed"
    if status == "401":
        yield "WWW-Authenticate"
    if status in _WAITED or (status == "409" and "Idempotency-Key" in asked):
        yield "Retry-After"
