"""The one page that people (not apps) may meet: a title, a sentence, no external assets."""

import base64
import hashlib
from html import escape
from typing import Final

from litestar import Response

from hub.http.deps import Connection

_STYLE: Final = (
    "body{font:1.125rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;"
    "place-items:center;background:#f6f5f2;color:#1c1b19}"
    "main{max-width:34rem;padding:2rem}h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}"
    "p,dl{margin:0 0 1rem}dt{font-weight:600;margin-top:1rem}dd{margin:0}a{color:inherit}"
    "@media(prefers-color-scheme:dark){body{background:#171614;color:#f1efe9}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
}


def prefers_json(connection: Connection) -> bool:
    """Say whether the caller asked for JSON by name; browsers and nothing at all did not."""
    accept = connection.headers.get("accept", "")
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "application/json" in named and "text/html" not in named


def page(title: str, *, text: str = "", body: str = "", status: int = 200) -> Response[bytes]:
    """Return a page that says one thing; `body` is HTML, the rest is text."""
    paragraph = f"<p>{escape(text)}</p>" if text else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{paragraph}{body}</main></body></html>"
    )
    return Response(html.encode(), status_code=status, headers=HEADERS, media_type="text/html")
