"""Fixtures live in tests/fixtures, one file per service."""

from importlib.util import find_spec

pytest_plugins = [
    f"tests.fixtures.{name}"
    for name in ("postgres", "redis", "mqtt", "rings", "app", "stack")
    if find_spec(f"tests.fixtures.{name}")
]
