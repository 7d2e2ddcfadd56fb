"""Two accounts and every route: what is Ada's is to all others as if it were not there."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute

from core import config
from core.db.query import Command, Query
from hub.app import create_app
from hub.wiring.aliases import ALIASES
from tests.fixtures.app import Running, User, idempotency_key
from tests.fixtures.postgres import Database
from tests.isolation.asks import Ask, Closed, Exempt, Foreign, Own, Secret
from tests.isolation.belongings import (
    Belongings,
    absent,
    filled,
    hers,
    leaks,
    rows,
)
from tests.isolation.routes import ROUTES

# Naming a person is no secret: whoever has the id may write to them, or keep them away.
NAMES_A_PERSON = {
    "POST /v1/conversations partner_id",
    "PUT /v1/blocks/{user_id} user_id",
    "DELETE /v1/blocks/{user_id} user_id",
    "POST /v1/auth/development/sign-in user_id",
}


def served() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each route of the application with its entry in the OpenAPI document, if any."""
    app = create_app(config.Settings())
    document: dict[str, Any] = app.openapi_schema.to_schema()
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            assert isinstance(handler, HTTPRouteHandler)
            for method in handler.http_methods - {"OPTIONS"}:
                operation = document["paths"].get(route.path_format, {}).get(method.lower(), {})
                yield f"{method} {route.path_format}", {**operation, "document": document}


def unlisted(routes: set[str]) -> set[str]:
    return routes - set(ROUTES)


def test_every_route_is_asked_and_a_new_one_has_to_say_how() -> None:
    routes = {name for name, _ in served()}
    assert len(routes) > 80
    assert unlisted(routes) == set(), "say in tests/isolation/routes how it is asked"
    assert set(ROUTES) - routes == set(), "no such route"
    assert unlisted({*routes, "GET /v1/secrets/{id}"}) == {"GET /v1/secrets/{id}"}


def test_second_names_are_of_routes_that_are_asked() -> None:
    paths = {route.partition(" ")[2] for route in ROUTES}
    assert set(ALIASES.values()) <= paths


def ids_of(operation: dict[str, Any]) -> Iterator[str]:
    """Yield the names of all parameters and body fields that are ids."""
    for parameter in operation.get("parameters", ()):
        if "uuid" in str(parameter.get("schema")):
            yield parameter["name"]
    schemas = operation["document"]["components"]["schemas"]
    waiting = [
        media["schema"] for media in operation.get("requestBody", {}).get("content", {}).values()
    ]
    while waiting:
        schema = waiting.pop()
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        waiting += [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        for name, field in schema.get("properties", {}).items():
            if "uuid" in str(field):
                yield name


def test_wherever_a_route_takes_an_id_one_of_adas_is_tried() -> None:
    missing: list[str] = []
    for route, operation in served():
        asks = [ask for ask in ROUTES[route] if not isinstance(ask, Exempt)]
        for name in ids_of(operation):
            if f"{route} {name}" in NAMES_A_PERSON:
                continue
            where = f"{{{name}}}" in route
            tried = any(
                _names_hers(ask.path) if where else _names_hers_as(ask, name) for ask in asks
            )
            missing += [] if tried else [f"{route} {name}"]
    assert not missing, missing


def _names_hers(template: str) -> bool:
    return "{" in template.replace("{my_", "")


def _names_hers_as(ask: Any, name: str) -> bool:
    in_query = f"{name}={{" in ask.path
    return in_query or _names_hers(str((ask.body or {}).get(name, "")))


async def send(
    client: httpx.AsyncClient, route: str, ask: Any, names: dict[str, str]
) -> tuple[httpx.Response, str]:
    """Ask; return the answer and what was sent."""
    method = route.partition(" ")[0]
    path = filled(names, ask.path)
    body = None if ask.body is None else filled(names, _only_text(ask.body))
    if body is not None:
        body = {**ask.body, **body}
    headers = idempotency_key() if method == "POST" else {}
    answer = await client.request(method, path, json=body, headers=headers)
    return answer, f"{path} {body}"


def _only_text(body: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in body.items()
        if all(isinstance(each, str) for each in (value if isinstance(value, list) else [value]))
    }


def may_be_asked(ask: Foreign, who: str) -> bool:
    if ask.by:
        return who == ask.by
    return not (who == "friend" and ask.seen_by_friend)


def refusals(ask: Ask, who: str) -> set[tuple[int, str]]:
    """Return what an asker may be told."""
    if who == "anonymous":
        return {(401, "auth.required")}
    found: set[tuple[int, str]] = set()
    if isinstance(ask, Foreign):
        found.add((ask.status, ask.code))
    if isinstance(ask, Closed):
        found.add((403, "auth.forbidden"))
    if who == "key":
        found.add((403, "auth.key_refused"))
    return found


def told(answer: httpx.Response) -> tuple[int, str]:
    is_problem = "problem+json" in answer.headers.get("content-type", "")
    return answer.status_code, answer.json()["code"] if is_problem else ""


async def findings(world: Belongings, only: str = "") -> list[str]:
    """Ask every route for what is Ada's as everybody else; return what went wrong."""
    found: list[str] = []
    before = await rows(world.admin)
    for route, asks in ROUTES.items():
        for ask in asks:
            if only not in route or not isinstance(ask, Foreign | Closed):
                continue
            for who, client in world.askers.items():
                if isinstance(ask, Foreign) and not may_be_asked(ask, who):
                    continue
                if isinstance(ask, Closed) and who == "admin":
                    continue
                answer, sent = await send(client, route, ask, world.names)
                if told(answer) not in refusals(ask, who):
                    found.append(f"{route} as {who}: {told(answer)}")
                found += [f"{route} as {who} tells {leak}" for leak in leaks(world, answer, sent)]
            after = await rows(world.admin)
            if after != before:
                found.append(f"{route} changed {len(after ^ before)} rows")
                before = after
    return found


@pytest.mark.req("DBR-01", "SEC-02")
async def test_whatever_is_adas_is_not_there_for_anybody_else(world: Belongings) -> None:
    assert not await findings(world)
    await _the_asker_of_ids_that_nobody_has_cannot_tell(world)
    # Last: Ada's own requests change things. Without them a wrong path would pass for a refusal.
    for route, asks in ROUTES.items():
        for ask in asks:
            if isinstance(ask, Foreign) and ask.owner_may:
                answer, _ = await send(world.ada.client, route, ask, world.names)
                assert answer.status_code not in {401, 403, 404, 422, 500}, (route, answer.text)


async def _the_asker_of_ids_that_nobody_has_cannot_tell(world: Belongings) -> None:
    """A foreign id and one of nothing have the same answer, found by the same statements."""
    with pytest.MonkeyPatch.context() as patch:
        steps = _recorded(patch)
        for route, asks in ROUTES.items():
            for ask in asks:
                if not isinstance(ask, Foreign):
                    continue
                client = world.askers[ask.by or "stranger"]
                seen: list[tuple[int, Any, list[str]]] = []
                for names in (world.names, absent(world.names)):
                    steps.clear()
                    answer, _ = await send(client, route, ask, names)
                    text = answer.text.replace(answer.headers["x-request-id"], "")
                    for value in names.values():
                        text = text.replace(value, "")
                    seen.append((answer.status_code, text, steps.copy()))
                assert seen[0] == seen[1], route


def _recorded(patch: pytest.MonkeyPatch) -> list[str]:
    """Write down each statement that is run from now on."""
    steps: list[str] = []

    def recording(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(entry: Any, tx: Any, *args: object) -> Any:
            if tx.actor.endpoint:  # else it is the hub's own business meanwhile
                steps.append(entry.sql)
            return await method(entry, tx, *args)

        return run

    for owner, name in ((Query, "all"), (Query, "first"), (Command, "run")):
        patch.setattr(owner, name, recording(getattr(owner, name)))
    return steps


async def test_lists_and_changes_of_ones_own_have_nothing_of_adas(world: Belongings) -> None:
    before = hers(await rows(world.admin), world)
    assert len(before) > 30
    for route, asks in ROUTES.items():
        for ask in asks:
            if not isinstance(ask, Own | Secret):
                continue
            answer, sent = await send(world.askers["stranger"], route, ask, world.names)
            assert answer.status_code in ask.expected, (route, answer.text)
            assert not leaks(world, answer, sent), route
            assert before <= hers(await rows(world.admin), world), f"{route} changed Ada's rows"


OPEN_CONVERSATIONS = "CREATE POLICY hole ON conversations USING (true)"
OPEN_DOOR = """
SET ROLE ping_definer;
CREATE OR REPLACE FUNCTION app.lock_conversation(conversation uuid) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT conversation';
RESET ROLE;
CREATE POLICY hole ON messages TO ping_api USING (true) WITH CHECK (true);
"""


async def test_planted_holes_are_found(world: Belongings, database: Database) -> None:
    connection = await asyncpg.connect(database.owner_url)
    for plant, route, complaints in (
        (OPEN_CONVERSATIONS, "GET /v1/conversations/{conversation_id}", ("(200",)),
        (OPEN_DOOR, "POST /v1/conversations/{conversation_id}/messages", ("(201", "changed")),
    ):
        await connection.execute(plant)
        found = await findings(world, only=route)
        for complaint in complaints:
            assert any(complaint in text for text in found), found
    await connection.close()


async def test_the_server_api_takes_no_users_token(hub: Running, ada: User) -> None:
    paths = {route.path_format for route in hub.app.routes if isinstance(route, ASGIRoute)}
    assert len(paths) > 10
    for path in paths:
        answer = await ada.client.post(path, json={})
        assert answer.status_code == 401, (path, answer.text)
