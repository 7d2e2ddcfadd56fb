"""The import rules: import-linter's contracts, and what its patterns cannot say about slices."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from core.config import Settings
from hub.cli import app
from hub.processes.system import HUB_PROCESSES

CACHE = "__pycache__"
PROJECT = Path(__file__).parents[2]
DOMAINS = PROJECT / "hub" / "domains"
SLICES = sorted(path.name for path in DOMAINS.iterdir() if path.is_dir() and path.name != CACHE)
FILES = {
    *("__init__.py", "schemas.py", "events.py", "rules.py", "queries.py", "service.py"),
    *("routes.py", "tasks.py", "mqtt.py"),
}
# Pure readers of files: bytes in, Structs out; as open as schemas.
FOLDERS = {"imports": {"formats"}}
OPEN_TO_OTHER_SLICES = {"service", "schemas", "formats"}
# What the hub may import of a slice, by the folder or file of the hub that does.
OPEN_TO_THE_HUB = {
    "wiring": {"service", "schemas", "events", "tasks", "routes"},
    "queue.py": {"service", "schemas"},
    "processes": {"service", "schemas", "mqtt"},
}
PACKAGES = ("core", "firmware_bridge", "gateway", "hub", "migrations")
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
LINES_MAX = 420
ASSEMBLY_LINES_MAX = 70  # what a screen shows at once


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they lead"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_slices(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (slice, file) for everything a file imports from hub.domains."""
    for name in imported(path):
        parts = name.split(".")
        if parts[:2] == ["hub", "domains"]:
            assert len(parts) > 3, f"{path}: imports a whole slice, which hides what it uses"
            yield parts[2], parts[3]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))


def test_the_layers_hold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(PROJECT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_has_only_files_of_the_fixed_names(name: str):
    found = {path.name for path in (DOMAINS / name).iterdir()} - {CACHE}
    assert {"__init__.py", "service.py"} <= found <= FILES | FOLDERS.get(name, set())
    assert (DOMAINS / name / "__init__.py").read_text() == ""


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_reaches_others_only_through_service_and_schemas(name: str):
    for path in (DOMAINS / name).glob("*.py"):
        for other, file in of_slices(path):
            assert other == name or file in OPEN_TO_OTHER_SLICES, f"{path}: {other}.{file}"


@pytest.mark.parametrize("name", SLICES)
def test_inside_a_slice_imports_point_downwards(name: str):
    for path in (DOMAINS / name).glob("*.py"):
        for other, file in of_slices(path):
            below = BELOW[path.stem] | FOLDERS.get(name, set())
            assert other != name or file in below, f"{path}: {file}"


def test_the_hub_knows_slices_by_their_public_files_only():
    strangers = [
        f"{path.relative_to(PROJECT)}: {other}.{file}"
        for path in sources("hub")
        if not path.is_relative_to(DOMAINS)
        for other, file in of_slices(path)
        if file not in OPEN_TO_THE_HUB.get(path.relative_to(PROJECT / "hub").parts[0], set())
    ]
    assert strangers == []


@pytest.mark.parametrize("name", SLICES)
def test_rules_are_pure(name: str):
    path = DOMAINS / name / "rules.py"
    if path.exists():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        assert not [node for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef)]


def test_no_file_has_grown_beyond_reading():
    long = {
        str(path.relative_to(PROJECT)): lines
        for path in sources(*PACKAGES)
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_the_assembly_fits_one_screen():
    assert len((PROJECT / "hub" / "app.py").read_text().splitlines()) <= ASSEMBLY_LINES_MAX


def test_no_file_has_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [path for path in sources(*PACKAGES) if empty & set(path.with_suffix("").parts)] == []


@pytest.mark.parametrize("name", HUB_PROCESSES)
def test_every_process_of_the_hub_is_a_command_and_runs_with_its_settings(name: str):
    run = importlib.import_module(f"hub.processes.{name}").run
    assert inspect.signature(run, eval_str=True) == inspect.Signature(
        [
            inspect.Parameter(
                "settings", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Settings
            )
        ],
        return_annotation=None,
    )
    assert name in app
