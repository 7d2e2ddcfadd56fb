"""Where SQL may stand, and what every statement must say."""

import ast
import functools
import importlib
import re
from collections import defaultdict
from pathlib import Path

import pytest

from core.db.query import REGISTRY

PROJECT = Path(__file__).parents[2]
STATEMENT = re.compile(
    r"^\s*(?:--.*\n\s*)*(SELECT\s.|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\b|DELETE\s+FROM\s|WITH\s+\w+\s+AS\b)",
    re.IGNORECASE | re.DOTALL,
)
PACKAGES = ("core", "firmware_bridge", "gateway", "hub")
# The gateway's spool is a SQLite file of its own; it never sees PostgreSQL.
SPOOL = set(PROJECT.glob("gateway/spool*.py"))
QUERIES = sorted(PROJECT.glob("hub/**/queries.py"))
MAKERS = {"query", "command"}


def may_hold_sql(path: Path) -> bool:
    return path in QUERIES or path in SPOOL or path.is_relative_to(PROJECT / "core" / "db")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def registered() -> list[str]:
    for path in QUERIES:
        importlib.import_module(module_of(path))
    return [entry.sql for entry in REGISTRY if not entry.module.startswith("tests.")]


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))


@functools.cache
def words() -> dict[str, set[Path]]:
    """Return in which files each word stands."""
    found: dict[str, set[Path]] = defaultdict(set)
    for path in sources():
        for word in re.findall(r"\w+", path.read_text()):
            found[word].add(path)
    return found


def says(word: str) -> set[Path]:
    return words().get(word, set())


def without_strings(sql: str) -> str:
    return re.sub(r"'[^']*'|--.*", "", sql)


def statements(sql: str) -> list[str]:
    return [part for part in without_strings(sql).split(";") if part.strip()]


def test_sql_stands_in_queries_only():
    misplaced: list[str] = []
    for path in sources():
        if may_hold_sql(path):
            continue
        misplaced += [
            f"{path.relative_to(PROJECT)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and STATEMENT.match(node.value)
        ]
    assert misplaced == []


def test_only_queries_make_queries_and_nobody_takes_the_connection_itself():
    """Whatever the text looks like, it cannot be sent from elsewhere."""
    strangers: list[str] = []
    for path in sources():
        if path in QUERIES or path.is_relative_to(PROJECT / "core" / "db"):
            continue
        strangers += [
            f"{path.relative_to(PROJECT)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if (
                isinstance(node, ast.ImportFrom)
                and str(node.module).startswith("core.db")
                and MAKERS & {alias.name for alias in node.names}
            )
            or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".connection"))
        ]
    assert strangers == []


@pytest.mark.parametrize("path", QUERIES, ids=module_of)
def test_every_query_is_registered_when_its_file_is_imported_and_somebody_asks_it(path: Path):
    """Registered, it is prepared against the migrated schema by tests/core/db/test_registry.py."""
    tree = ast.parse(path.read_text())
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and is_made(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert len(names) == sum(is_made(node) for node in ast.walk(tree))
    importlib.import_module(module_of(path))
    assert len(names) == sum(entry.module == module_of(path) for entry in REGISTRY)
    assert [name for name in sorted(names) if not says(name) - {path}] == []


def is_made(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS


def test_no_statement_is_built_from_pieces():
    """But for the columns of a row that several return, which `query` puts in."""
    built: list[str] = []
    for path in QUERIES:
        built += [
            f"{path.relative_to(PROJECT)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.JoinedStr)
        ]
    assert built == []


@pytest.mark.req("DBR-06")
def test_columns_are_named():
    found = registered()
    assert found
    star = re.compile(r"(SELECT|DISTINCT|RETURNING|,)\s*(\w+\.)?\*", re.IGNORECASE)
    assert [sql for sql in found if star.search(without_strings(sql))] == []


@pytest.mark.req("DBR-07")
def test_changes_say_which_rows():
    change = re.compile(
        r"\b(UPDATE\s+(?!SET\b|OF\b|SKIP\b|NOWAIT\b)\w|DELETE\s+FROM)", re.IGNORECASE
    )
    unbounded = [
        statement
        for sql in registered()
        for statement in statements(sql)
        if (match := change.search(statement))
        and not re.search(r"\bWHERE\b", statement[match.start() :], re.IGNORECASE)
    ]
    assert unbounded == []


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT id FROM users", True),
        ("\n    -- why\n    SELECT 1", True),
        ("DELETE FROM outbox", True),
        ("SELECT", False),
        ("Select a ring from the list of rings", True),
        ("WITH the others", False),
        ("Updates a ring", False),
    ],
)
def test_the_detector_knows_statements_from_prose(text: str, is_sql: bool):
    assert bool(STATEMENT.match(text)) is is_sql
