"""The OpenAPI document: valid, complete, true to the routes."""

import re

import pytest

from core import config
from core.errors import CATALOGUE
from hub.app import create_app

HTTP_METHODS = {"get", "post", "put", "patch", "delete"}
HIDDEN = {"/", "/metrics", "/errors", "/schema/scalar.js", "/connection/websocket"}
CODE = re.compile(r"`([a-z]+\.[a-z_]+)`")


@pytest.fixture(scope="module")
def app():
    return create_app(config.Settings())


@pytest.fixture(scope="module")
def document(app) -> dict:
    return app.openapi_schema.to_schema()


def operations(document: dict):
    for path, item in document["paths"].items():
        for method in HTTP_METHODS & item.keys():
            yield f"{method.upper()} {path}", item[method]


def test_every_route_is_documented(app, document):
    served = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method.lower() in HTTP_METHODS
    }
    listed = {
        (method, path)
        for path, item in document["paths"].items()
        for method in HTTP_METHODS & item.keys()
    }
    visible = {
        (method, path)
        for method, path in served
        if path not in HIDDEN and not path.startswith(("/schema", "/console"))
    }
    assert visible == listed


@pytest.mark.req("API-04")
def test_the_issue_s_routes_are_there(document):
    names = {name for name, _ in operations(document)}
    assert names >= {
        "GET /v1/auth/development/users",
        "POST /v1/auth/development/sign-in",
        "POST /v1/auth/refresh",
        "POST /v1/auth/logout",
        "GET /v1/me",
        "PATCH /v1/me",
        "GET /v1/rings",
        "POST /v1/ring-claims",
        "GET /v1/ring-claims/{claim_id}",
        "POST /v1/ring-claims/{claim_id}/proof",
        "POST /v1/ring-claims/{claim_id}/gateway",
        "POST /v1/rings/{ring_id}/release",
        "POST /v1/rings/{ring_id}/found",
        "POST /v1/rings/{ring_id}/revoke",
        "PATCH /v1/rings/{ring_id}",
        "POST /v1/rings/{ring_id}/lost",
        "GET /v1/rings/taps",
        "POST /v1/development/rings/{ring_id}/tap",
        "POST /v1/conversations",
        "GET /v1/conversations",
        "GET /v1/conversations/{conversation_id}",
        "GET /v1/conversations/{conversation_id}/messages",
        "POST /v1/conversations/{conversation_id}/messages",
        "GET /t",
        "GET /livez",
        "GET /readyz",
        "GET /.well-known/jwks.json",
    }


def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                target = document
                for part in reference.removeprefix("#/").split("/"):
                    target = target[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_does_and_how_it_fails(document):
    ids = []
    for name, operation in operations(document):
        ids.append(operation["operationId"])
        assert operation.get("description"), name
        assert operation.get("tags"), name
        if name.partition(" ")[2].startswith("/v1"):
            assert {"400", "422", "429", "500", "503"} <= operation["responses"].keys(), name
        for status, response in operation["responses"].items():
            for code in CODE.findall(response.get("description", "")):
                if code in CATALOGUE:
                    assert CATALOGUE[code].status == int(status)
    assert len(ids) == len(set(ids))


def test_failures_are_problem_details(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and name != "GET /readyz":
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_closed_routes_ask_for_a_token(document):
    assert document["security"] == [{"access_token": []}]
    public = {name for name, operation in operations(document) if operation.get("security") == [{}]}
    assert public == {
        "GET /v1/auth/development/users",
        "POST /v1/auth/development/sign-in",
        "POST /v1/auth/refresh",
        "GET /v1/auth/{provider}/start",
        "GET /v1/auth/{provider}/callback",
        "POST /v1/auth/{provider}/callback",
        "POST /v1/auth/{provider}/id-token",
        "POST /v1/auth/token",
        "POST /v1/gateways/claim",
        "GET /t",
        "GET /livez",
        "GET /readyz",
        "GET /.well-known/jwks.json",
    }


def test_bodies_refuse_unknown_fields(document):
    for name, operation in operations(document):
        if body := operation.get("requestBody"):
            given = body["content"]["application/json"]["schema"]
            for choice in given.get("oneOf", given.get("anyOf", [given])):
                schema = document["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
                assert schema.get("additionalProperties") is False, name


async def test_the_document_and_its_reader_are_served(anonymous):
    document = await anonymous.get("/schema/openapi.json")
    assert document.status_code == 200
    assert document.json()["info"]["title"] == "Ping Hub"
    page = await anonymous.get("/schema")
    assert page.status_code == 200
    script = re.search(r"<script src=[^>]+>", page.text)
    assert script
    # Third-party code runs only as the very file that was reviewed.
    assert "/schema/scalar.js" in script[0]
    assert "default-src 'none'" in page.headers["content-security-policy"]
