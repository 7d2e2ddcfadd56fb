"""Where SQL may stand, and what every statement must say."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from core.db.query import REGISTRY

PROJECT = Path(__file__).parents[2]
STATEMENT = re.compile(
    r"^\s*(?:--.*\n\s*)*(SELECT\s.|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\b|DELETE\s+FROM\s|WITH\s+\w+\s+AS\b)",
    re.IGNORECASE | re.DOTALL,
)
# The gateway's spool is a SQLite file of its own; it never sees PostgreSQL.
PACKAGES = ("core", "firmware_bridge", "hub")


def may_hold_sql(path: Path) -> bool:
    return path.name == "queries.py" or path.is_relative_to(PROJECT / "core" / "db")


def registered() -> list[str]:
    for path in sorted(PROJECT.glob("hub/**/queries.py")):
        importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
    return [entry.sql for entry in REGISTRY]


def without_strings(sql: str) -> str:
    return re.sub(r"'[^']*'|--.*", "", sql)


def statements(sql: str) -> list[str]:
    return [part for part in without_strings(sql).split(";") if part.strip()]


def test_sql_stands_in_queries_only():
    misplaced: list[str] = []
    for package in PACKAGES:
        for path in (PROJECT / package).rglob("*.py"):
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


def test_no_statement_is_built_from_pieces():
    built: list[str] = []
    for path in PROJECT.glob("hub/**/queries.py"):
        built += [
            f"{path.relative_to(PROJECT)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.JoinedStr)
        ]
    assert built == []


def test_columns_are_named():
    found = registered()
    assert found
    star = re.compile(r"SELECT\s+(\w+\.)?\*|RETURNING\s+\*", re.IGNORECASE)
    assert [sql for sql in found if star.search(without_strings(sql))] == []


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
