"""The import rules: import-linter's contracts, and what its patterns cannot say about slices."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

PROJECT = Path(__file__).parents[2]
DOMAINS = PROJECT / "hub" / "domains"
SLICES = sorted(path.name for path in DOMAINS.iterdir() if (path / "__init__.py").exists())
FILES = {
    *("__init__.py", "schemas.py", "events.py", "rules.py", "queries.py", "service.py"),
    *("routes.py", "tasks.py", "mqtt.py"),
}
OPEN_TO_OTHER_SLICES = {"service", "schemas"}
# What a file of a slice may import of its own slice.
BELOW = {
    "routes": {"service", "schemas", "events", "rules"},
    "tasks": {"service", "schemas", "events", "rules"},
    "mqtt": {"service", "schemas", "events", "rules"},
    "service": {"queries", "schemas", "events", "rules"},
    "queries": {"schemas", "events"},
    "rules": {"schemas"},
    "events": {"schemas"},
    "schemas": {"events"},
    "__init__": set[str](),
}
LINES_MAX = 500


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_slices(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (slice, file) for everything a file imports from hub.domains."""
    for name in imported(path):
        parts = name.split(".")
        if parts[:2] == ["hub", "domains"] and len(parts) > 3:
            yield parts[2], parts[3]


def test_the_layers_hold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(PROJECT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_has_only_files_of_the_fixed_names(name: str):
    assert {path.name for path in (DOMAINS / name).glob("*.py")} <= FILES


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_reaches_others_only_through_service_and_schemas(name: str):
    for path in (DOMAINS / name).glob("*.py"):
        for other, file in of_slices(path):
            assert other == name or file in OPEN_TO_OTHER_SLICES, f"{path}: {other}.{file}"


@pytest.mark.parametrize("name", SLICES)
def test_inside_a_slice_imports_point_downwards(name: str):
    for path in (DOMAINS / name).glob("*.py"):
        for other, file in of_slices(path):
            assert other != name or file in BELOW[path.stem], f"{path}: {file}"


@pytest.mark.parametrize("name", SLICES)
def test_rules_are_pure(name: str):
    path = DOMAINS / name / "rules.py"
    if path.exists():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        assert not [node for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef)]


def test_no_file_has_grown_beyond_reading():
    packages = ("core", "firmware_bridge", "gateway", "hub", "migrations")
    paths = [path for package in packages for path in (PROJECT / package).rglob("*.py")]
    assert paths
    long = {
        str(path.relative_to(PROJECT)): lines
        for path in paths
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}
