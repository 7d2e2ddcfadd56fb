"""What is only asked for changes nothing, whatever the handler does."""

import ast
import inspect
from typing import Any

from litestar import Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from core import config
from core.db import command
from hub.app import create_app
from hub.http.deps import WRITES, acting_as, actor, as_system, writing
from tests.fixtures.app import Running, User

RENAME = command("UPDATE users SET full_name = 'changed' WHERE id = app.user_id()")
RENAME_ALL = command("UPDATE users SET full_name = 'changed' WHERE true", login="system")

# The link in a ring's tag is opened by phones as they open links, so its opening is the tap.
IS_THE_DEED = {"/t"}
# To have read these is an entry of the audit log; nothing else is written.
ON_RECORD = {
    "/v1/admin/audit",
    "/v1/admin/cohorts/{name}/members",
    "/v1/contacts/export",
    "/v1/service-accounts",
    "/v1/service-accounts/{account_id}/api-keys",
    "/v1/service-accounts/{account_id}/api-keys/{key_id}",
    "/v1/touches/{touch_id}/card",
}
SAFE = {"GET", "HEAD", "OPTIONS"}


def handlers() -> list[tuple[str, HTTPRouteHandler]]:
    app = create_app(config.Settings())
    return [
        (item.path_format, handler)
        for item in app.routes
        if isinstance(item, HTTPRoute)
        for handler in item.route_handlers
        if isinstance(handler, HTTPRouteHandler)
    ]


def test_what_writes_when_it_is_only_asked_is_listed() -> None:
    found = {
        path
        for path, handler in handlers()
        if handler.opt.get("writes") and handler.http_methods & {"GET", "HEAD"}
    }
    assert found == IS_THE_DEED | ON_RECORD


def test_handlers_begin_their_transactions_where_the_method_is_looked_at() -> None:
    modules = {inspect.getmodule(handler.fn) for _, handler in handlers()}
    assert len(modules) > 10
    for module in modules:
        assert module is not None
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom) and node.module == "core.db":
                imported = {name.name for name in node.names}
                assert "begin" not in imported, f"{module.__name__}: use hub.http.deps"


async def change(request: Request[Any, Any, Any], how: str) -> None:
    match how:
        case "own":
            async with writing(request) as tx:
                await RENAME.run(tx)
        case "as_system":
            async with as_system(request) as tx:
                await RENAME_ALL.run(tx)
        case _:
            async with acting_as(request, actor(request), over_all=True) as tx:
                await RENAME_ALL.run(tx)


@route("/v1/try", http_method=[*SAFE, "POST"], status_code=204)
async def attempt(request: Request[Any, Any, Any]) -> None:
    await change(request, request.query_params["how"])


@route("/v1/try-declared", http_method=["GET"], status_code=204, opt=WRITES)
async def declared(request: Request[Any, Any, Any]) -> None:
    await change(request, request.query_params["how"])


async def test_a_write_fails_under_methods_that_only_ask(hub: Running, ada: User) -> None:
    hub.app.register(attempt)
    hub.app.register(declared)

    async def name() -> str:
        return (await ada.client.get("/v1/me")).json()["full_name"]

    for how in ("own", "as_system", "acting_as"):
        for method in SAFE:
            answer = await ada.client.request(method, f"/v1/try?how={how}")
            # What is asked by OPTIONS no handler ever sees.
            assert answer.status_code == (204 if method == "OPTIONS" else 500), (how, method)
            assert await name() == "Ada Lovelace"
        for method, path in (("POST", "try"), ("GET", "try-declared")):
            assert (await ada.client.request(method, f"/v1/{path}?how={how}")).status_code == 204
            assert await name() == "changed"
            again = {"full_name": "Ada Lovelace"}
            assert (await ada.client.patch("/v1/me", json=again)).is_success
