"""The OpenAPI document, its reader, and the pages that explain errors."""

from html import escape
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.openapi.plugins import JsonRenderPlugin, ScalarRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme, Server, Tag

from core.errors import CATALOGUE, DomainError
from hub.embedded import scalar
from hub.http import human_page
from hub.http.auth import UNLIMITED
from hub.http.document import DocumentConfig
from hub.http.scopes import MEANINGS

_PROJECT: Final = Path(__file__).parents[2]
_SCALAR_PATH: Final = "/schema/scalar.js"
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline';"
    " img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_TAGS: Final = {
    "accounts": "Signing in, sign-in sessions, and the signed-in user.",
    "api-keys": "API keys of accounts, and accounts of backends.",
    "rings": "Rings, their claims and their taps.",
    "touches": "What happens when two rings touch, and the cards that go over.",
    "friends": "Friends, and whom one has blocked.",
    "contacts": "The address book: who people are, how they are reached, whom they know.",
    "circles": "Tiers of closeness, and who of one's contacts is in them.",
    "relationships": "How relationships fare, of which types they are, and reminders of people.",
    "interactions": "What one has had to do with people, when and in which words; what it shows.",
    "imports": "Files of contacts, calendars, mail and telephones, and what became of them.",
    "messaging": "Direct conversations and messages.",
    "goals": "What one wants of one's contacts.",
    "paths": "Ways to somebody over people who know each other.",
    "reminders": "What one is told of at a time, once or by a rule.",
    "insights": "What the hub notices about one's contacts, by rules.",
    "achievements": "What taps, messages, goals and days in a row achieve.",
    "gateways": "Gateways, calls of them, and what was refused of them.",
    "realtime": "What the live connections of an account do.",
    "admin": "What administrators of the hub see and do.",
    "flags": "Feature flags: who sees what is new.",
    "platform": "Probes and public keys.",
}


_KEY_DESCRIPTION: Final = (
    "An API key of `POST /v1/api-keys`, also taken as `Authorization: Bearer <key>`. Operations"
    " name the scope that it needs:\n\n"
    + "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in MEANINGS.items())
)


def openapi_config(version: str, public_url: str) -> DocumentConfig:
    """Return how /schema is made: JSON always, Scalar for people."""
    return DocumentConfig(
        title="Ping Hub",
        version=version,
        license=License(name="MIT", identifier="MIT"),
        description=(
            "People tap rings; apps hear of it live. Lists are keyset pages"
            " `{items, next_cursor, has_more}`; errors are RFC 9457 problem details with a stable"
            f" `code` ([all codes]({public_url}/errors)). A GET that names the `ETag` one has in"
            " `If-None-Match` is answered 304 while it holds. Live events come over"
            " `/connection/websocket` in Centrifugo's client protocol."
        ),
        servers=[Server(url=public_url)],
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(
            security_schemes={
                "access_token": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="An access token, or an API key where `api_key` is listed.",
                ),
                "api_key": SecurityScheme(
                    type="apiKey",
                    name="X-API-Key",
                    security_scheme_in="header",
                    description=_KEY_DESCRIPTION,
                ),
            }
        ),
        security=[{"access_token": []}],
        use_handler_docstrings=True,
        render_plugins=[ScalarPage(path="/"), JsonRenderPlugin()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            opt=UNLIMITED,
            response_headers={"Content-Security-Policy": _CSP},
        ),
    )


class ScalarPage(ScalarRenderPlugin):
    """Scalar, served by this hub; without it, the way to the document and to Scalar."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # the plugin's interface
        reader = f'<script src="{_SCALAR_PATH}"></script>'
        if find_scalar() is None:
            reader = (
                '<p>Read <a href="/schema/openapi.json">the document</a>, or run'
                " <code>python -m hub.embedded.scalar</code> for a page like this one.</p>"
            )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ping Hub</title>'
            '<meta name="viewport" content="width=device-width,initial-scale=1"></head><body>'
            '<noscript>Read <a href="/schema/openapi.json">the document</a>.</noscript>'
            '<script id="api-reference" data-url="/schema/openapi.json"'
            ' data-configuration=\'{"withDefaultFonts":false,"telemetry":false}\'></script>'
            f"{reader}</body></html>"
        ).encode()


def find_scalar() -> Path | None:
    """Return Scalar's bundle where npm has put it, or None."""
    places = (folder / scalar.BUNDLE for folder in (Path.cwd(), _PROJECT))
    return next((path for path in places if path.is_file()), None)


@get(_SCALAR_PATH, opt=UNLIMITED, include_in_schema=False, sync_to_thread=True)
def scalar_script() -> Response[bytes]:
    """Serve the reader's script as npm fetched it."""
    path = find_scalar()
    if path is None:
        raise DomainError("request.not_found", "Scalar is not installed on this hub.")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(path.read_bytes(), headers=headers, media_type="text/javascript")


@get("/errors", opt=UNLIMITED, include_in_schema=False, sync_to_thread=False)
def errors_page() -> Response[bytes]:
    """Explain every error code; problem details link here."""
    entries = "".join(
        f'<dt id="{escape(code)}"><code>{escape(code)}</code> ({spec.status})</dt>'
        f"<dd>{escape(spec.title)}. {escape(spec.remedy)}</dd>"
        for code, spec in CATALOGUE.items()
    )
    return human_page.page("Error codes", body=f"<dl>{entries}</dl>")


DOCUMENT_ROUTES: Final = [scalar_script, errors_page]
