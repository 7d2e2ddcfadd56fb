"""Each registered query fits the migrated schema: names, types and the rights of its login."""

import re
import types
import typing
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import asyncpg
import msgspec
import pytest
from asyncpg.prepared_stmt import PreparedStatement

from core.db.pool import set_codecs
from core.db.query import Command, Login, Query, query
from tests.fixtures.postgres import Database
from tests.registered import registered

PYTHON_TYPES: dict[str, tuple[object, ...]] = {
    "uuid": (UUID,),
    "text": (str,),
    "varchar": (str,),
    "bool": (bool,),
    "int2": (int,),
    "int4": (int,),
    "int8": (int,),
    "float8": (float,),
    "bytea": (bytes,),
    "timestamptz": (datetime,),
    "date": (date,),
    "jsonb": (msgspec.Raw,),
    "inet": (IPv4Address, IPv6Address, IPv4Interface, IPv6Interface),
}


def python_types(hint: Any) -> set[object]:
    """Return what a field may hold besides None: Literals and NewTypes as their base."""
    if isinstance(hint, typing.NewType):
        return python_types(hint.__supertype__)
    if get_origin(hint) is Literal:
        return {type(value) for value in get_args(hint)}
    if get_origin(hint) is typing.Annotated:
        return python_types(get_args(hint)[0])
    if get_origin(hint) in (typing.Union, types.UnionType):
        return set().union(*(python_types(part) for part in get_args(hint))) - {type(None)}
    return {get_origin(hint) or hint}


def mismatches(statement: PreparedStatement, row: type) -> list[str]:
    """Compare the columns of a prepared statement with a row type."""
    columns = statement.get_attributes()
    if issubclass(row, msgspec.Struct):
        hints = typing.get_type_hints(row, include_extras=True)
        fields = [(name, hints[name]) for name in row.__struct_fields__]
    else:
        fields = [(columns[0].name, row)] if columns else []
    found = []
    if [column.name for column in columns] != [name for name, _ in fields]:
        found.append(f"columns {[c.name for c in columns]}, fields {[name for name, _ in fields]}")
    for column, (name, hint) in zip(columns, fields, strict=False):
        allowed = PYTHON_TYPES.get(column.type.name, (list,) if column.type.kind == "array" else ())
        if not python_types(hint) <= set(allowed):
            found.append(f"{name}: {column.type.name} is no {hint}")
    return found


@asynccontextmanager
async def logged_in(database: Database, login: Login) -> AsyncGenerator[Any]:
    """Connect as the login that queries are sent by."""
    connection = await asyncpg.connect(getattr(database, f"{login}_url"), statement_cache_size=0)
    try:
        await set_codecs(connection)
        yield connection
    finally:
        await connection.close()


async def problems(connection: Any, found: Query[Any] | Command) -> list[str]:
    """Return what does not fit of one query."""
    try:
        statement = await connection.prepare(found.sql)
        # Rights are checked when a plan is started, which EXPLAIN does without running it.
        await connection.execute("EXPLAIN (GENERIC_PLAN) " + found.sql)
        return mismatches(statement, found.row) if isinstance(found, Query) else []
    except asyncpg.PostgresError as error:
        return [str(error)]


@pytest.mark.req("API-09")
@pytest.mark.parametrize("login", get_args(Login))
async def test_every_query_of_the_hub_fits_the_schema_and_the_rights_of_its_login(
    pristine: Database, login: Login
) -> None:
    queries = [found for found in registered() if found.login == login]
    async with logged_in(pristine, login) as connection:
        report = [
            f"{found.name} ({login}): {problem}\n{found.sql.strip()}"
            for found in queries
            for problem in await problems(connection, found)
        ]
    assert queries or login == "worker"
    assert not report, "\n\n".join(report)


def test_every_query_has_a_name_of_its_own() -> None:
    """Metrics, the log and frozen releases call them so."""
    names = [found.name for found in registered()]
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name, re.IGNORECASE) for name in names)
    assert len(names) == len(set(names))


class Wrong(msgspec.Struct, frozen=True):
    id: int
    name: str


@pytest.mark.parametrize(
    ("row", "sql", "problem"),
    [
        (Wrong, "SELECT id, full_name FROM users", "fields ['id', 'name']"),
        (Wrong, "SELECT id, full_name AS name FROM users", "uuid is no"),
        (Wrong, "SELECT 1 AS id FROM users", "columns ['id']"),
        (UUID, "SELECT id, full_name FROM users", "columns ['id', 'full_name']"),
        (bytes, "SELECT tap_key FROM rings", "permission denied"),
        (UUID, "SELECT nothing FROM users", "does not exist"),
    ],
)
async def test_a_query_that_does_not_fit_is_found(
    pristine: Database, row: type, sql: Any, problem: str
) -> None:
    found = query(row, sql)
    async with logged_in(pristine, "api") as connection:
        assert any(problem in text for text in await problems(connection, found))
