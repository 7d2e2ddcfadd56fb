"""JSON Schemas of our Structs as generators of clients want them.

msgspec knows the types exactly, constraints, null and tags included. Here come what is written
beside the fields, the format of times, speaking names, and examples.
"""

import ast
import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final, Literal, cast, get_args, get_origin

import msgspec
from msgspec import inspect as types
from msgspec.structs import StructConfig

from hub.http.examples import BY_FIELD

_REFERENCE: Final = "#/components/schemas/"
_PAGE: Final = "Page_"
_BY_FORMAT: Final = {
    "uuid": "0193d9a2-7f40-7c1e-9b55-2f6f1d0c8a11",
    "date": "2026-11-21",
    "date-time": "2026-11-21T09:30:00Z",
}
_PYTHON: Final[dict[str, type | tuple[type, ...]]] = {"string": str, "array": list}
Json = dict[str, Any]


def components(structs: Iterable[Any]) -> dict[str, Json]:
    """Return the schemas of Structs and of what they hold, by name."""
    structs = list(structs)
    _, found = msgspec.json.schema_components(structs, ref_template=_REFERENCE + "{name}")
    infos = {_title(info.cls): info for info in _structs(types.multi_type_info(structs))}
    choices = _choices({info.cls.__module__ for info in infos.values()})
    made: dict[str, Json] = {}
    for key, schema in found.items():
        info = infos.get(schema.get("title", key))
        if info is not None:
            _tell(info, schema)
        name = speaking(key)
        made[name] = named(_tidied({**schema, "title": name}), choices)
    used = {name for schema in made.values() for name in _targets(schema)} - made.keys()
    for values, name in choices.items():
        if name in used:
            made[name] = {"title": name, "type": "string", "enum": list(values)}
    made = dict(sorted(made.items()))
    for schema in made.values():
        _show_examples(schema, made)
    return made


def speaking(key: str) -> str:
    """Return the name under which readers find a schema: `MessagePage` for `Page[Message]`."""
    if not key.startswith(_PAGE):
        return key
    return key.removeprefix(_PAGE).removesuffix("_").rpartition(".")[2] + "Page"


def reference(name: str) -> str:
    """Return the reference to a schema by the name that msgspec or Litestar gave it."""
    return _REFERENCE + speaking(name.removeprefix(_REFERENCE))


def target(schema: Mapping[str, Any]) -> str | None:
    """Return the name of the schema that a reference leads to."""
    found = schema.get("$ref")
    return found.removeprefix(_REFERENCE) if isinstance(found, str) else None


def example(schema: Json, known: Mapping[str, Json], field: str = "") -> Any:  # noqa: ANN401  # any JSON
    """Return a value that a schema allows, and that looks like what the field holds."""
    if choices := schema.get("anyOf"):
        is_left_out = {"type": "null"} in choices and BY_FIELD.get(field, field) is None
        return None if is_left_out else example(choices[0], known, field)
    if (name := target(schema)) is not None:
        return example(known[name], known)
    named = [BY_FIELD[field]] if _suits(BY_FIELD.get(field), schema) else []
    constant = [schema["const"]] if "const" in schema else []
    given = [*constant, *schema.get("examples", ()), *schema.get("enum", ()), *named]
    return given[0] if given else _of_type(schema, known)


def _suits(value: object, schema: Json) -> bool:
    items = schema.get("items", {"type": "string"})
    is_plain = "format" not in schema and items.get("type") == "string"
    return is_plain and isinstance(value, _PYTHON.get(schema.get("type", ""), ()))


def _of_type(schema: Json, known: Mapping[str, Json]) -> Any:  # noqa: ANN401  # any JSON
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            shown = (
                (name, example(part, known, name), name in required)
                for name, part in schema.get("properties", {}).items()
            )
            return {name: value for name, value, needed in shown if needed or value is not None}
        case "array":
            return [example(schema.get("items", {}), known)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return _BY_FORMAT.get(schema.get("format", ""), "text")
        case _:
            return None


def named(schema: Any, choices: Mapping[tuple[str, ...], str]) -> Any:  # noqa: ANN401  # any JSON
    """Refer to lists of values that have a name, so that a client has one type for each."""
    if isinstance(schema, list):
        return [named(item, choices) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    inner: Json = {key: named(value, choices) for key, value in cast("Json", schema).items()}
    values = inner.get("enum")
    name = choices.get(tuple(sorted(values))) if inner.get("type") == "string" and values else None
    if name is None:
        return inner
    rest = {key: value for key, value in inner.items() if key not in {"type", "enum"}}
    return {"$ref": reference(name), **rest}


def _choices(modules: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Return the names of Literals by their values, where the values have one name."""
    names: dict[tuple[str, ...], set[str]] = {}
    for module in modules:
        for name, value in vars(sys.modules[module]).items():
            if get_origin(value) is Literal and all(isinstance(x, str) for x in get_args(value)):
                names.setdefault(tuple(sorted(get_args(value))), set()).add(name.lstrip("_"))
    spoken = Counter(name for found in names.values() for name in found)
    return {
        values: name
        for values, (name, *others) in names.items()
        # One name for two lists, or two for one, names nothing.
        if not others and spoken[name] == 1 < len(values)
    }


def _targets(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if (name := target(cast("Json", schema))) is not None:
            yield name
        for value in cast("Json", schema).values():
            yield from _targets(value)
    elif isinstance(schema, list):
        for item in cast("list[object]", schema):
            yield from _targets(item)


def _show_examples(schema: Json, known: Mapping[str, Json]) -> None:
    for name, part in schema.get("properties", {}).items():
        shown = example(part, known, name)
        if shown is not None and not part.keys() & {"$ref", "examples", "const", "enum"}:
            part["examples"] = [shown]


def _tell(info: types.StructType, schema: Json) -> None:
    texts = _texts(info.cls)
    for field in info.fields:
        part = schema["properties"][field.encode_name]
        _mark_times(field.type, part)
        text = texts.get(field.name)
        if text and "description" not in part and "$ref" not in part:
            part["description"] = text
    # What we answer is always whole; in what we are told, defaults may be left out.
    config: StructConfig = getattr(info.cls, "__origin__", info.cls).__struct_config__
    if not info.forbid_unknown_fields and not config.omit_defaults:
        schema["required"] = list(schema["properties"])


def _mark_times(kind: types.Type, part: Json) -> None:
    # msgspec marks only times that must bear a zone; ours all do when they go out.
    if isinstance(kind, types.DateTimeType):
        part["format"] = "date-time"
    elif isinstance(kind, types.UnionType):
        for choice in kind.types:
            if isinstance(choice, types.DateTimeType):
                for variant in part.get("anyOf", [part]):
                    if variant.get("type") == "string":
                        variant["format"] = "date-time"


def _tidied(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(schema, list):
        return [_tidied(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    tidy: Json = {key: _tidied(value) for key, value in cast("Json", schema).items()}
    if isinstance(tidy.get("$ref"), str):
        tidy["$ref"] = reference(tidy["$ref"])
    values = tidy.get("enum")
    if isinstance(values, list) and all(isinstance(value, str) for value in cast("Any", values)):
        tidy["type"] = "string"
        if len(cast("list[str]", values)) == 1:
            tidy["const"] = tidy.pop("enum")[0]
    if tidy.get("required") == []:
        del tidy["required"]
    return tidy


def _structs(found: object) -> Iterator[types.StructType]:
    """Walk through what msgspec says of types; each Struct comes once."""
    seen: set[str] = set()
    waiting: list[Any] = [found]
    while waiting:
        item = waiting.pop()
        if isinstance(item, types.StructType):
            if _title(item.cls) in seen:
                continue
            seen.add(_title(item.cls))
            yield item
        if isinstance(item, (list, tuple)):
            waiting.extend(cast("Iterable[Any]", item))
        elif isinstance(item, msgspec.Struct):
            waiting.extend(getattr(item, name) for name in item.__struct_fields__)


def _title(cls: type) -> str:
    arguments = getattr(cls, "__args__", ())
    inner = ", ".join(_title(item) for item in arguments)
    return f"{cls.__name__}[{inner}]" if inner else str(cls.__name__)


def _texts(cls: type) -> dict[str, str]:
    """Return what is written below the fields of a Struct."""
    texts: dict[str, str] = {}
    origin = getattr(cls, "__origin__", cls)
    for base in reversed(origin.__mro__):
        texts.update(_written(base.__module__).get(base.__qualname__, {}))
    return texts


@cache
def _written(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of fields by class; no runtime keeps them, so the source is read."""
    if not module.startswith(("core", "hub")):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: {
            field.target.id: inspect.cleandoc(str(text.value.value))
            for field, text in pairwise(node.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
