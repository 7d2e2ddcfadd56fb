"""The OpenAPI document as app developers and generators of clients read it.

Litestar makes it from the handlers; here it gets speaking names, the refusals of the door, and
schemas by msgspec. A new route needs nothing for that but its docstring; what it lacks,
tests/contract/test_openapi.py says.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from typing import Any, Final, cast

import msgspec
from litestar import Litestar
from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import OpenAPI, Schema
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from core.errors import CATALOGUE
from hub.http import fields, recency, revalidation, shapes
from hub.http.problems import Refusals, documented
from hub.http.scopes import Scope
from hub.http.shapes import Json

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Litestar's words for success, which say less than what is answered does.
_LITESTARS: Final = ("Request fulfilled", "Document created", "Request accepted")
_PAGE: Final[Json] = {"text/html": {"schema": {"type": "string"}}}
_SHARED: Final = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "413": "TooLarge",
    "415": "UnsupportedMediaType",
    "422": "Invalid",
    "429": "TooManyRequests",
    "500": "InternalError",
    "503": "Unavailable",
}


class Structs(StructSchemaPlugin):
    """Remembers which Structs the routes speak of."""

    def __init__(self) -> None:
        self.found: dict[Any, None] = {}

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        self.found[field_definition.annotation] = None
        return super().to_openapi_schema(field_definition, schema_creator)


@dataclass
class DocumentConfig(OpenAPIConfig):
    """Litestar's way to make a document, which ends with ours."""

    structs: Structs = field(default_factory=Structs)
    pages: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By operation, the statuses that people's browsers get as a page."""

    def to_openapi_schema(self) -> OpenAPI:
        plain = super().to_openapi_schema()
        document = _Document(**{item.name: getattr(plain, item.name) for item in fields_of(plain)})
        document.config = self
        return document


class _Document(OpenAPI):
    config: DocumentConfig

    def to_schema(self) -> Json:
        document = super().to_schema()
        schemas = shapes.components(self.config.structs.found)
        document["components"]["schemas"] = schemas
        for path, item in document["paths"].items():
            for method in _METHODS & item.keys():
                pages = self.config.pages.get(item[method]["operationId"], frozenset())
                is_tagged = method == "get" and revalidation.covers(path)
                item[method] = _polished(item[method], schemas, pages, is_tagged=is_tagged)
        operations = [
            item[method] for item in document["paths"].values() for method in _METHODS & item.keys()
        ]
        document["components"]["responses"] = fields.RESPONSES | _share(operations)
        document["components"]["headers"] = fields.HEADERS
        document["components"]["parameters"] = fields.PARAMETERS
        return document


def describe(app: Litestar, route_scopes: Mapping[str, Scope | None]) -> None:
    """Name the operations, and say what the door asks of each, before the document is made."""
    handlers = {
        id(handler): (route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
    }
    pages = cast("DocumentConfig", app.openapi_config).pages
    for path, handler in handlers.values():
        scope: Scope | None = None
        for method in handler.http_methods:
            scope = route_scopes.get(f"{method} {path}") or scope
        if scope:
            handler.security = [{"access_token": []}, {"api_key": [scope]}]
        first, *words = handler.handler_name.split("_")
        handler.operation_id = first + "".join(word.capitalize() for word in words)
        handler.summary = handler.summary or " ".join((first.capitalize(), *words))
        given = handler.responses or {}
        refusals = [item for item in given.values() if isinstance(item, Refusals)]
        own = [code for item in refusals for code in item.codes]
        others = {status: item for status, item in given.items() if item not in refusals}
        handler.responses = {**documented(*own, *_door(path, handler, scope)), **others}
        if handler.opt.get("page"):
            refused = (CATALOGUE[code].status for code in own)
            pages[handler.operation_id] = frozenset(map(str, (handler.status_code, *refused)))


def _door(path: str, handler: HTTPRouteHandler, scope: Scope | None) -> Iterable[str]:
    """Return what may be refused before a handler is asked, by any handler like this one."""
    yield from ("auth.key_in_url", "server.internal")
    if not handler.opt.get("public"):
        yield from ("auth.required", "auth.token_invalid", "auth.token_expired")
        yield from ("auth.ambiguous", "auth.key_malformed", "auth.key_invalid", "auth.key_expired")
        yield "auth.scope_missing" if scope else "auth.key_refused"
    if handler.opt.get("recent"):
        yield recency.CODE
    if handler.opt.get("limit", "default") is not None:
        yield from ("request.malformed", "limit.exceeded", "service.unavailable")
    if "{" in path:
        yield "request.not_found"
    if not handler.http_methods.isdisjoint(_BODY_METHODS):
        yield from ("request.media_type", "request.too_large")
    if set(handler.parsed_fn_signature.parameters) - {"request"}:
        yield "request.invalid"


def _polished(
    operation: Json, schemas: Mapping[str, Json], pages: frozenset[str], *, is_tagged: bool
) -> Json:
    operation = _plain(operation)
    parameters = operation.get("parameters", [])
    choices = {
        tuple(sorted(schema["enum"])): name for name, schema in schemas.items() if "enum" in schema
    }
    for parameter in parameters:
        _polish_parameter(parameter)
        parameter["schema"] = shapes.named(parameter["schema"], choices)
    for status, response in operation["responses"].items():
        _polish_response(status, response, schemas)
        if status in pages:
            response.setdefault("content", {}).update(_PAGE)
    fields.add(operation, is_tagged=is_tagged)
    operation["responses"] = dict(sorted(operation["responses"].items()))
    if "requestBody" in operation:
        _show_bodies(operation["requestBody"]["content"], schemas)
    return operation


def _share(operations: Iterable[Json]) -> dict[str, Json]:
    """Let operations refer to what most of them answer under a status, and return that."""
    answered = [operation["responses"] for operation in operations]
    shared: dict[str, Json] = {}
    for status, name in _SHARED.items():
        variants = Counter(
            msgspec.json.encode(answers[status], order="sorted")
            for answers in answered
            if status in answers
        )
        ((usual, _),) = variants.most_common(1)
        shared[name] = msgspec.json.decode(usual)
        for answers in answered:
            if answers.get(status) == shared[name]:
                answers[status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _plain(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """Leave out what says nothing, and write numbers and references as they are meant."""
    if isinstance(node, list):
        return [_plain(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        whole = isinstance(node, float) and node.is_integer()
        return int(cast("float", node)) if whole else node
    plain: Json = {}
    for key, value in cast("Json", node).items():
        if key in {"deprecated", "allowEmptyValue", "allowReserved"} and not value:
            continue
        if key == "headers" and not value:
            continue
        plain[key] = shapes.reference(value) if key == "$ref" else _plain(value)
    return plain


def _polish_parameter(parameter: Json) -> None:
    schema = parameter["schema"]
    schema.pop("description", None)
    # A parameter that may be left out is never sent as null.
    choices = [item for item in schema.pop("oneOf", ()) if item != {"type": "null"}]
    for choice in choices:
        schema.update(choice)
    values = schema.get("enum")
    if values and None in values:
        schema.update(type="string", enum=[value for value in values if value is not None])


def _polish_response(status: str, response: Json, schemas: Mapping[str, Json]) -> None:
    content = response.get("content", {})
    for media in content.values():
        name = shapes.target(media.get("schema", {}))
        if status.startswith("2") and name and response["description"].startswith(_LITESTARS):
            response["description"] = schemas[name].get("description", name)


def _show_bodies(content: Json, schemas: Mapping[str, Json]) -> None:
    for media in content.values():
        schema = media["schema"]
        choices = schema.get("oneOf")
        if choices is None:
            media["example"] = shapes.example(schema, schemas)
            continue
        names = [str(shapes.target(choice)) for choice in choices]
        media["examples"] = {
            name: {"value": shapes.example(schemas[name], schemas)} for name in names
        }
        tags = _tags(names, schemas)
        if tags is not None:
            schema["discriminator"] = tags


def _tags(names: Iterable[str], schemas: Mapping[str, Json]) -> Json | None:
    """Return by which property variants are told apart."""
    values: dict[str, dict[str, str]] = {
        name: {
            field: part["const"]
            for field, part in schemas[name]["properties"].items()
            if "const" in part
        }
        for name in names
    }
    first, *others = values.values()
    shared = [tag for tag in first if all(tag in other for other in others)]
    if len(shared) != 1:
        return None
    tag = shared[0]
    mapping = {found[tag]: shapes.reference(name) for name, found in values.items()}
    return {"propertyName": tag, "mapping": mapping}
