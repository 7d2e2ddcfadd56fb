"""`make clients`: the clients that anybody can generate from docs/openapi.json, without network."""

import json
import subprocess
import sys
from pathlib import Path

from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from hub.embedded import node

DOCUMENT = Path(__file__).parent.parent / "docs" / "openapi.json"
PACKAGE = "pinghub_client"
_GENERATE = (
    "import { createClient } from '@hey-api/openapi-ts';"
    " await createClient(JSON.parse(process.argv[1]));"
)
_RUFF = Path(sys.executable).with_name("ruff")
_ALONE = "--isolated --quiet --no-cache ."


def python(folder: Path) -> None:
    """Write the package `pinghub_client` into a folder; needs httpx and attrs."""
    names = ConfigFile(
        project_name_override="pinghub-client",
        package_name_override=PACKAGE,
        docstrings_on_attributes=True,
        post_hooks=[f"{_RUFF} check --fix-only {_ALONE}", f"{_RUFF} format {_ALONE}"],
    )
    problems = generate(
        config=Config.from_sources(
            names,
            MetaType.NONE,
            DOCUMENT,
            file_encoding="utf-8",
            overwrite=True,
            output_path=folder / PACKAGE,
        )
    )
    if problems:
        raise RuntimeError("\n".join(f"{item.header}: {item.detail}" for item in problems))


def typescript(folder: Path) -> None:
    """Write the module `pinghub` into a folder; needs nothing but `fetch`."""
    settings = {
        "input": str(DOCUMENT),
        # Imports that node understands, not bundlers alone.
        "output": {"path": str(folder.resolve() / "pinghub"), "importFileExtension": ".js"},
        "logs": {"level": "silent", "file": False},
    }
    subprocess.run(
        [str(node.find()), "--input-type=module", "--eval", _GENERATE, json.dumps(settings)],
        cwd=DOCUMENT.parent.parent,
        check=True,
        timeout=60,
    )


def operation_ids() -> set[str]:
    """Return the names of the operations in the document."""
    paths = json.loads(DOCUMENT.read_text())["paths"]
    return {operation["operationId"] for item in paths.values() for operation in item.values()}


def main(arguments: list[str]) -> None:
    """Write both into the folder that is named, or into `build/clients`."""
    folder = Path(*arguments[:1] or ["build/clients"])
    folder.mkdir(parents=True, exist_ok=True)
    python(folder)
    typescript(folder)
    print(folder / PACKAGE)
    print(folder / "pinghub")


if __name__ == "__main__":
    main(sys.argv[1:])
