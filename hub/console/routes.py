"""Serves the console: its own files, and the official JS SDK as the install step fetched it.

A page may include fragments, by a line of its own, which may say what stands for a `{name}` in
them: they are put in when the files are read.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter
from litestar.response import Redirect
from msgspec import Struct

from core import config
from core.errors import DomainError
from hub.http.auth import UNLIMITED

_STATIC: Final = Path(__file__).parent / "static"
_FRAGMENTS: Final = Path(__file__).parent / "fragments"
_PROJECT: Final = Path(__file__).parents[2]
_SDK: Final = Path("node_modules/centrifuge/dist/centrifuge.js")
_PAGES: Final = {
    "/console": "index.html",
    "/console/account": "account.html",
    "/console/audit": "audit.html",
    "/console/edge": "edge.html",
    "/console/flags": "flags.html",
    "/console/people": "people.html",
    "/console/realtime": "realtime.html",
}
# What several pages have.
_INCLUDE: Final = re.compile(r'[ ]*<!-- include ([a-z]+\.html)((?: [a-z]+="[^"]*")*) -->\n')
_GIVEN: Final = re.compile(r'([a-z]+)="([^"]*)"')
_MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    # Everything the page needs comes from this hub; text from users is never parsed as HTML.
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The modules of the page belong together, so each load asks whether they changed.
    "Cache-Control": "no-cache",
}

_IfNoneMatch = Annotated[str | None, HeaderParameter(name="if-none-match")]


class _File(Struct, frozen=True):
    body: bytes
    media_type: str
    etag: str


def console_routes(settings: config.Settings) -> list[HTTPRouteHandler]:
    """Return the routes of the console and the way to it; the files are read once, here."""
    files = {path.name: _read(path) for path in sorted(_STATIC.iterdir())}

    @get("/", include_in_schema=False, opt=UNLIMITED, sync_to_thread=False)
    def front_door() -> Redirect:
        return Redirect("/console", status_code=302)

    @get("/console/{name:str}", include_in_schema=False, opt=UNLIMITED, sync_to_thread=False)
    def console_file(name: FromPath[str], if_none_match: _IfNoneMatch = None) -> Response[bytes]:
        if name not in files:
            raise DomainError("request.not_found")
        return _answer(files[name], if_none_match)

    @get("/console/sdk/centrifuge.js", include_in_schema=False, opt=UNLIMITED, sync_to_thread=True)
    def console_sdk(if_none_match: _IfNoneMatch = None) -> Response[bytes]:
        path = find_sdk(settings.console)
        if path is None:
            raise DomainError(
                "request.not_found",
                "The JS SDK is not installed: run `make up`, or `npm ci` in the project folder.",
            )
        return _answer(_read(path), if_none_match)

    pages = [_page(path, files[name]) for path, name in _PAGES.items()]
    return [front_door, *pages, console_file, console_sdk]


def _page(path: str, file: _File) -> HTTPRouteHandler:
    @get(path, include_in_schema=False, opt=UNLIMITED, sync_to_thread=False)
    def console_page(if_none_match: _IfNoneMatch = None) -> Response[bytes]:
        return _answer(file, if_none_match)

    return console_page


def find_sdk(console: config.Console) -> Path | None:
    """Return the SDK's browser build: the setting, else node_modules here or in the project."""
    named = [Path(console.sdk_path)] if console.sdk_path else [Path.cwd() / _SDK, _PROJECT / _SDK]
    return next((path for path in named if path.is_file()), None)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    if path.suffix == ".html":
        body = _INCLUDE.sub(_fragment, body.decode()).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _File(body=body, media_type=_MEDIA_TYPES[path.suffix], etag=etag)


def _fragment(line: re.Match[str]) -> str:
    text = (_FRAGMENTS / line[1]).read_text(encoding="utf-8")
    for name, value in _GIVEN.findall(line[2]):
        text = text.replace(f"{{{name}}}", value)
    return _INCLUDE.sub(_fragment, text)


def _answer(file: _File, if_none_match: str | None) -> Response[bytes]:
    headers = {**_HEADERS, "ETag": file.etag}
    if if_none_match == file.etag:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
