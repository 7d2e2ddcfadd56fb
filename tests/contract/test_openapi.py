"""The OpenAPI document: valid, complete, true to the routes."""

import re

import jsonschema_rs
import pytest

from core import config
from core.errors import CATALOGUE
from hub.app import create_app
from hub.wiring.scopes import ROUTE_SCOPES
from tests.fixtures.app import User

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
    """Yield the operations by name, with the responses that they share put in their places."""
    for path, item in document["paths"].items():
        for method in HTTP_METHODS & item.keys():
            responses = {
                status: document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                if "$ref" in response
                else response
                for status, response in item[method]["responses"].items()
            }
            yield f"{method.upper()} {path}", {**item[method], "responses": responses}


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
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        ids.append(operation["operationId"])
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"]), name
        assert operation.get("summary"), name
        assert operation.get("description"), name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= tags, f"{name}: say what the tag means (hub/http/openapi)"
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            if status >= "400" and name != "GET /readyz":
                codes = CODE.findall(response["description"])
                assert codes, (name, status)
                assert {CATALOGUE[code].status for code in codes} == {int(status)}, (name, codes)
    assert len(ids) == len(set(ids))


def test_what_the_door_may_answer_stands_at_each_operation(document):
    for name, operation in operations(document):
        path = name.partition(" ")[2]
        expected = {"400", "500"}
        if path.startswith("/v1"):
            expected |= {"429", "503"}
        if operation.get("security") != [{}]:
            expected |= {"401", "403"}
        if "{" in path:
            expected |= {"404"}
        if operation.get("requestBody"):
            expected |= {"413", "415", "422"}
        assert expected <= operation["responses"].keys(), name


def test_every_route_with_a_limit_lists_the_fields_by_which_a_client_paces_itself(app, document):
    limits = {
        (method, re.sub(r":\w+}", "}", route.path)): handler.opt.get("limit", "default")
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
    }
    counted = 0
    for name, operation in operations(document):
        is_limited = limits[tuple(name.split(" "))] is not None
        counted += is_limited
        for status, response in operation["responses"].items():
            listed = response.get("headers", {}).keys()
            is_counted = is_limited and status != "401" and status < "500"
            assert (listed >= {"RateLimit", "RateLimit-Policy"}) is is_counted, (name, status)
            if status in {"429", "503"}:
                assert "Retry-After" in listed, (name, status)
        assert ("429" in operation["responses"]) is is_limited, name
    assert counted > 100


def test_every_answer_that_may_be_kept_lists_its_tag_and_how_to_ask_whether_it_holds(document):
    condition = {"$ref": "#/components/parameters/IfNoneMatch"}
    kept = 0
    for name, operation in operations(document):
        may_be_kept = name.startswith("GET /v1/") and not name.startswith("GET /v1/auth/")
        kept += may_be_kept
        assert ("304" in operation["responses"]) is may_be_kept, name
        assert (condition in operation.get("parameters", ())) is may_be_kept, name
        if may_be_kept:
            assert "content" not in operation["responses"]["304"], name
            for status in ("200", "304"):
                assert "ETag" in operation["responses"][status]["headers"], (name, status)
    assert kept > 30


async def test_answers_carry_the_fields_that_the_document_lists(document, ada: User):
    listed = dict(operations(document))["GET /v1/me"]["responses"]
    answers = [await ada.client.get("/v1/me")]
    known = {"If-None-Match": answers[0].headers["etag"]}
    answers.append(await ada.client.get("/v1/me", headers=known))
    assert [answer.status_code for answer in answers] == [200, 304]
    for answer in answers:
        fields = listed[str(answer.status_code)]["headers"]
        assert fields.keys() == {"ETag", "RateLimit", "RateLimit-Policy"}
        for name in fields:
            schema = document["components"]["headers"][name]["schema"]
            jsonschema_rs.validate(schema, answer.headers[name])


def test_nobody_is_told_of_tokens_where_none_is_asked_for(document):
    told = "auth.required"
    for name, operation in operations(document):
        is_open = operation.get("security") == [{}]
        assert (told in str(operation["responses"])) is not is_open, name


def test_every_body_has_an_example_that_the_hub_takes(document):
    schemas = document["components"]["schemas"]
    registry = {"components": {"schemas": schemas}}
    for name, operation in operations(document):
        if not (body := operation.get("requestBody")):
            continue
        if "application/octet-stream" in body["content"]:
            continue
        media = body["content"]["application/json"]
        shown = [item["value"] for item in media.get("examples", {}).values()]
        shown += [media["example"]] if "example" in media else []
        assert shown, name
        validator = jsonschema_rs.validator_for(media["schema"] | registry, validate_formats=True)
        for example in shown:
            validator.validate(example)
            texts = [value for value in example.values() if isinstance(value, str)]
            assert "text" not in texts, f"{name}: show what it looks like in hub/http/examples.py"


def test_every_schema_says_what_it_is_and_shows_it(document):
    schemas = document["components"]["schemas"]
    held = jsonschema_rs.Registry([("urn:document", {"components": {"schemas": schemas}})])
    for name, schema in schemas.items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), name
        assert "enum" in schema or schema.get("description"), name
        for field, part in schema.get("properties", {}).items():
            # By reference: a schema that has all others in it takes milliseconds to read.
            place = f"urn:document#/components/schemas/{name}/properties/{field}"
            validator = jsonschema_rs.Draft202012Validator(
                {"$ref": place}, registry=held, validate_formats=True
            )
            for example in part.get("examples", ()):
                assert validator.is_valid(example), (name, field, example)


def test_times_are_marked_as_times(document):
    for name, schema in document["components"]["schemas"].items():
        for field, part in schema.get("properties", {}).items():
            if field.endswith("_at"):
                assert "date-time" in str(part), (name, field)


def test_what_is_answered_is_whole(document):
    """A client need not ask whether a field is there."""
    assert set(document["components"]["schemas"]["SignedIn"]["required"]) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "user",
    }


def test_variants_are_told_apart_by_a_tag(document):
    proof = document["paths"]["/v1/ring-claims/{claim_id}/proof"]["post"]["requestBody"]
    assert proof["content"]["application/json"]["schema"]["discriminator"] == {
        "propertyName": "kind",
        "mapping": {
            "ble": "#/components/schemas/BleProof",
            "sun": "#/components/schemas/SunProof",
        },
    }


def test_api_keys_are_a_way_in_with_the_scope_of_each_operation(document):
    schemes = document["components"]["securitySchemes"]
    assert schemes["api_key"]["name"] == "X-API-Key"
    by_name = dict(operations(document))
    for name, scope in ROUTE_SCOPES.items():
        ways = by_name[name].get("security", document["security"])
        expected = [{"access_token": []}, *([{"api_key": [scope]}] if scope else [])]
        assert ways == expected, name
        assert scope is None or f"`{scope}`" in schemes["api_key"]["description"]


def test_failures_are_problem_details(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and name != "GET /readyz":
                # `text/html`: what a person's browser may open says so as a page.
                kinds = list(response["content"])
                assert kinds[0] == "application/problem+json", (name, status)
                assert set(kinds[1:]) <= {"text/html"}, (name, status)


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
        "GET /v1/auth/methods",
        "POST /v1/auth/token",
        "POST /v1/auth/passkeys/sign-up/options",
        "POST /v1/auth/passkeys/sign-up",
        "POST /v1/auth/passkeys/sign-in/options",
        "POST /v1/auth/passkeys/sign-in",
        "POST /v1/gateways/claim",
        "GET /t",
        "GET /livez",
        "GET /readyz",
        "GET /.well-known/jwks.json",
        "GET /.well-known/apple-app-site-association",
        "GET /.well-known/assetlinks.json",
    }


def test_bodies_refuse_unknown_fields(document):
    for name, operation in operations(document):
        body = operation.get("requestBody")
        if body and "application/octet-stream" not in body["content"]:
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
