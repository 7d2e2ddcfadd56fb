"""Every closed route says which scope of an API key opens it, and no scope says too much."""

from collections.abc import Iterator

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from core import config
from hub.app import create_app
from hub.http.scopes import MEANINGS, Scope, covers
from hub.wiring.scopes import ROUTE_SCOPES

# Ways into an account, and what administers: no key of any scope comes near.
NEVER = ("/v1/auth/", "/v1/api-keys", "/v1/service-accounts", "/v1/admin", "/v1/development/")
NEVER_MINE = ("/v1/me/logins", "/v1/me/sessions", "/v1/me/passkeys", "/v1/me/export")


def closed_routes() -> Iterator[str]:
    app = create_app(config.Settings())
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            assert isinstance(handler, HTTPRouteHandler)
            if not handler.opt.get("public"):
                for method in handler.http_methods - {"OPTIONS"}:
                    yield f"{method} {route.path_format}"


def test_every_closed_route_has_its_line_and_every_line_its_route() -> None:
    routes = list(closed_routes())
    assert len(routes) > 50
    assert sorted(set(routes) - set(ROUTE_SCOPES)) == [], "name its scope, or None to close it"
    assert sorted(set(ROUTE_SCOPES) - set(routes)) == [], "no such route"


def test_what_only_reads_opens_no_write_and_the_other_way_round() -> None:
    for route, scope in ROUTE_SCOPES.items():
        if scope is not None:
            verb = "read" if route.startswith("GET ") else "write"
            assert scope.endswith(f":{verb}"), route


def test_keys_open_no_way_into_an_account() -> None:
    for route, scope in ROUTE_SCOPES.items():
        if route.partition(" ")[2].startswith(NEVER + NEVER_MINE):
            assert scope is None, route


def test_every_scope_opens_something_and_is_explained() -> None:
    assert {scope for scope in ROUTE_SCOPES.values() if scope} == set(MEANINGS)
    assert all(":" in scope and "*" not in scope for scope in MEANINGS)


@pytest.mark.parametrize(
    ("granted", "needed", "method", "allowed"),
    [
        ({"rings:read"}, "rings:read", "GET", True),
        ({"rings:write"}, "rings:read", "GET", False),
        ({"rings:read"}, "rings:write", "PATCH", False),
        # Even if somebody's line in the list were wrong.
        ({"rings:read"}, "rings:read", "POST", False),
        (set(MEANINGS) - {"taps:read"}, "taps:read", "GET", False),
    ],
)
def test_a_scope_stands_for_itself(
    granted: set[str], needed: Scope, method: str, allowed: bool
) -> None:
    assert covers(frozenset(granted), needed, method) is allowed
