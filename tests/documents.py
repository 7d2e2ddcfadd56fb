"""`make docs`: write the documents that are made from the code. A test keeps them fresh."""

import json
from pathlib import Path

from core.config import Settings
from core.errors import CATALOGUE
from hub.app import create_app

DOCS = Path(__file__).parent.parent / "docs"


def errors() -> str:
    """Return docs/errors.md from the catalogue."""
    lines = [
        "# Errors",
        "",
        "Written by `make docs` from `core/errors.py`.",
        "",
        "Every refusal carries one of these codes: over REST as `code` of an RFC 9457 problem",
        "(`application/problem+json`, with `request_id`), in the command line before the message.",
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


GENERATED = {"errors.md": errors, "openapi.json": openapi}


def main() -> None:
    """Write all of them."""
    for name, write in GENERATED.items():
        (DOCS / name).write_text(write())
        print(DOCS / name)


if __name__ == "__main__":
    main()
