"""All statements that the hub registers, for tests and for what freezes a release."""

import importlib
from pathlib import Path
from typing import Any

import hub
from core.db.query import REGISTRY, Command, Query


def registered() -> list[Query[Any] | Command]:
    """Import what registers queries, then return them all."""
    root = Path(hub.__file__).parent
    for path in sorted(root.rglob("queries.py")):
        module = ".".join(("hub", *path.relative_to(root).with_suffix("").parts))
        importlib.import_module(module)
    return [found for found in REGISTRY if not found.module.startswith("tests.")]
