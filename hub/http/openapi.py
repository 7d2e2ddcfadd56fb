"""The OpenAPI document, its reader, and the pages that explain errors."""

from html import escape
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, ScalarRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag

from core.errors import CATALOGUE, DomainError
from hub.http import human_page
from hub.http.auth import UNLIMITED

_PROJECT: Final = Path(__file__).parents[2]
_SCALAR: Final = Path("node_modules/@scalar/api-reference/dist/browser/standalone.js")
_SCALAR_PATH: Final = "/schema/scalar.js"
_TAGS: Final = {
    "accounts": "Sign-in sessions and the signed-in user.",
    "rings": "Rings and their taps.",
    "messaging": "Direct conversations and messages.",
    "platform": "Probes, keys and the like.",
}


def openapi_config(version: str, public_url: str) -> OpenAPIConfig:
    """Return how /schema is made: JSON always, Scalar for people."""
    return OpenAPIConfig(
        title="Ping Hub",
        version=version,
        description=(
            "People tap rings; apps hear of it live. Lists are keyset pages"
            " `{items, next_cursor, has_more}`; errors are RFC 9457 problem details with a stable"
            f" `code` ([all codes]({public_url}/errors)); live events come over"
            " `/connection/websocket` in Centrifugo's client protocol."
        ),
        path="/schema",
        servers=[Server(url=public_url)],
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(
            security_schemes={
                "access_token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
            }
        ),
        security=[{"access_token": []}],
        use_handler_docstrings=True,
        render_plugins=[
            ScalarRenderPlugin(path="/", js_url=_SCALAR_PATH, css_url="data:text/css,"),
            JsonRenderPlugin(),
        ],
    )


@get(_SCALAR_PATH, opt=UNLIMITED, include_in_schema=False, sync_to_thread=True)
def scalar_script() -> Response[bytes]:
    """Serve the reader's script as the install step fetched it."""
    for folder in (Path.cwd(), _PROJECT):
        if (folder / _SCALAR).is_file():
            headers = {"Cache-Control": "public, max-age=3600"}
            script = (folder / _SCALAR).read_bytes()
            return Response(script, headers=headers, media_type="text/javascript; charset=utf-8")
    raise DomainError(
        "request.not_found", "Scalar is not installed: run `npm ci`, or read /schema/openapi.json."
    )


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
