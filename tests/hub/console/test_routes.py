"""The console's files: what is served, under which headers, and what is not."""

import re
from pathlib import Path

import pytest
from litestar import Request, Response
from litestar.testing import TestClient, create_test_client

from core import config
from core.errors import DomainError
from hub.console import console_routes

FOLDER = Path(console_routes.__code__.co_filename).parent
PAGES = (
    "/console",
    "/console/account",
    "/console/edge",
    "/console/flags",
    "/console/people",
    "/console/realtime",
    "/console/audit",
)


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    path = tmp_path / "centrifuge.js"
    path.write_text("globalThis.Centrifuge = class {};")
    return path


def console(sdk_path: Path) -> TestClient:
    def refuse(_request: Request, error: DomainError) -> Response:
        return Response({"detail": error.detail}, status_code=error.status)

    settings = config.Settings(console=config.Console(sdk_path=str(sdk_path)))
    return create_test_client(console_routes(settings), exception_handlers={DomainError: refuse})


def test_the_bare_address_leads_to_the_console(sdk: Path) -> None:
    with console(sdk) as client:
        answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/console")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_served_with_a_policy_that_allows_only_its_own_origin(
    sdk: Path, path: str
) -> None:
    with console(sdk) as client:
        answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_no_inline_script_or_style_that_the_policy_would_refuse(
    sdk: Path, path: str
) -> None:
    with console(sdk) as client:
        page = client.get(path).text
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script src="') + page.count(
        '<script type="module" src="'
    )
    assert "//" not in page.replace("<!doctype", "")


def test_every_file_of_the_page_has_its_media_type(sdk: Path) -> None:
    expected = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    with console(sdk) as client:
        for path in (FOLDER / "static").iterdir():
            answer = client.get(f"/console/{path.name}")
            if path.suffix != ".html":
                assert answer.content == path.read_bytes()
            kind = answer.headers["content-type"]
            assert kind.startswith(expected.get(path.suffix, "text/html")), path.name


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_served_whole_with_what_it_shares_with_others(sdk: Path, path: str) -> None:
    with console(sdk) as client:
        page = client.get(path).text
    assert "<!-- include" not in page
    assert page.count('<link rel="stylesheet" href="/console/console.css">') == 1
    assert "{" not in page
    # What the scripts look up by its id, and what labels refer to, is there once.
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {"problem", "main"} <= set(ids)


def test_a_fragment_is_part_of_a_page_and_no_page(sdk: Path) -> None:
    used = {
        name
        for page in FOLDER.glob("*/*.html")
        for name in re.findall(r"<!-- include (\S+)", page.read_text())
    }
    assert used == {path.name for path in (FOLDER / "fragments").iterdir()}
    with console(sdk) as client:
        for name in used:
            assert client.get(f"/console/{name}").status_code == 404


def test_an_unchanged_file_costs_no_second_transfer(sdk: Path) -> None:
    with console(sdk) as client:
        first = client.get("/console/sdk/centrifuge.js")
        second = client.get(
            "/console/sdk/centrifuge.js", headers={"if-none-match": first.headers["etag"]}
        )
    assert first.text == sdk.read_text()
    assert (second.status_code, second.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["../routes.py", "%2e%2e%2froutes.py", "..%5croutes.py", "nothing.js", "sdk"]
)
def test_nothing_but_the_files_of_the_page_is_served(sdk: Path, path: str) -> None:
    with console(sdk) as client:
        assert client.get(f"/console/{path}").status_code == 404


def test_a_missing_sdk_is_answered_with_what_to_run(tmp_path: Path) -> None:
    with console(tmp_path / "absent.js") as client:
        answer = client.get("/console/sdk/centrifuge.js")
    assert answer.status_code == 404
    assert "make up" in answer.json()["detail"]


def test_without_a_setting_the_sdk_comes_from_the_install_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / "node_modules/centrifuge/dist/centrifuge.js"
    built.parent.mkdir(parents=True)
    built.write_text("// the SDK of this folder")
    monkeypatch.chdir(tmp_path)
    settings = config.Settings()
    with create_test_client(console_routes(settings)) as client:
        assert client.get("/console/sdk/centrifuge.js").text == "// the SDK of this folder"
