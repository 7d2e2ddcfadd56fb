"""`make docs`: write the documents that are made from the code. A test keeps them fresh."""

import inspect
import json
from importlib.metadata import version
from pathlib import Path

import msgspec

from core.config import ALIASES, Settings
from core.errors import CATALOGUE
from hub.app import create_app
from hub.wiring.asyncapi import document as asyncapi_document

DOCS = Path(__file__).parent.parent / "docs"


def errors() -> str:
    """Return docs/errors.md from the catalogue."""
    lines = [
        "# Errors",
        "",
        "Written by `make docs` from `core/errors.py`.",
        "",
        "Every refusal carries one of these codes: over REST as `code` of an RFC 9457 problem",
        "(`application/problem+json`, with `request_id`), in the command line before the message,",
        "and as the message of an error reply to a remote procedure, whose code is the status.",
        "Codes are stable; titles and texts may improve.",
        "",
        "| code | status | title | what to do |",
        "|---|---|---|---|",
    ]
    for code, spec in sorted(CATALOGUE.items()):
        lines.append(f"| `{code}` | {spec.status} | {spec.title} | {spec.remedy} |")
    return "\n".join((*lines, ""))


def openapi() -> str:
    """Return docs/openapi.json, the REST interface."""
    document = create_app(Settings()).openapi_schema.to_schema()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def asyncapi() -> str:
    """Return docs/asyncapi.json, the realtime channels."""
    document = asyncapi_document(version("pinghub"), Settings().server.public_url)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def settings() -> str:
    """Return docs/pinghub.example.toml: every setting with its default."""
    lines = [
        "# Written by `make docs` from `core/config.py`: every setting with its default.",
        "# Copy what you change to pinghub.toml, or set PINGHUB_SECTION__KEY in the environment.",
        "# There, a list is written with commas: PINGHUB_GATEWAY__READERS=pcsc,serial:/dev/ttyUSB0",
        "# Names that platforms set are understood there too:",
        *(f"#   {alias} = {'.'.join(target)}" for alias, target in ALIASES.items()),
        "",
    ]
    for section in msgspec.structs.fields(Settings):
        values = getattr(Settings(), section.name)
        # The second paragraph of a docstring explains single settings.
        lines += [
            f"# {line.strip()}" for line in inspect.cleandoc(values.__doc__).splitlines() if line
        ]
        lines.append(f"[{section.name}]")
        for item in msgspec.structs.fields(values):
            default = getattr(values, item.name)
            # TOML has no null: what is unset by default is shown without a value.
            shown = "" if default is None else json.dumps(default)
            lines.append(f"# {item.name} = {shown}".rstrip())
        lines.append("")
    return "\n".join(lines)


GENERATED = {
    "asyncapi.json": asyncapi,
    "errors.md": errors,
    "openapi.json": openapi,
    "pinghub.example.toml": settings,
}


def main() -> None:
    """Write all of them."""
    for name, write in GENERATED.items():
        (DOCS / name).write_text(write())
        print(DOCS / name)


if __name__ == "__main__":
    main()
