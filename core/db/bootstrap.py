"""What only a superuser can do, once per cluster and database: roles, the extension, ownership.

Roles belong to the cluster while databases are cloned and restored, so no migration touches them.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any, Final, LiteralString, cast
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from core.db.failure import Conflict, translated

LOGINS: Final = ("ping_owner", "ping_api", "ping_worker", "ping_system", "ping_reader")
GROUPS: Final = ("ping_definer", "ping_admin")
"""Roles without login: one owns the definer functions, one is entered by admin routes."""

_NEVER: Final = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
_SCRAM_ROUNDS: Final = 4096
_MEMBERSHIPS: Final[tuple[LiteralString, ...]] = (
    # Entered by SET ROLE only; neither lends its rights by mere membership.
    "GRANT ping_definer TO ping_owner WITH INHERIT FALSE, SET TRUE",
    "GRANT ping_admin TO ping_api WITH INHERIT FALSE, SET TRUE",
)
connect = cast("Any", asyncpg.connect)


async def bootstrap(superuser_url: str, database: str, passwords: Mapping[str, str]) -> None:
    """Create or correct roles, the database and its extension; running it again is harmless.

    `passwords` by login; a login that is not named keeps the one it has.
    """
    with translated():
        connection = await connect(superuser_url)
        try:
            for role in LOGINS:
                await _create_role(connection, role, "LOGIN")
            for role in GROUPS:
                await _create_role(connection, role, "NOLOGIN")
            for login, password in passwords.items():
                await _execute(
                    connection, "ALTER ROLE %I PASSWORD %L", login, scram_verifier(password)
                )
            for statement in _MEMBERSHIPS:
                await connection.execute(statement)
            await _create_database(connection, database)
        finally:
            await connection.close()
        inside = await connect(at_database(superuser_url, database))
        try:
            await inside.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            await inside.execute("GRANT USAGE, CREATE ON SCHEMA public TO ping_owner")
        finally:
            await inside.close()


async def prepare_restore(owner_url: str) -> None:
    """Make an empty database ready for a dump, whose functions go to their owner before grants.

    Raises Conflict when it is not empty.
    """
    grant = "GRANT CREATE, USAGE ON SCHEMA app TO ping_definer"
    try:
        await _run(owner_url, "CREATE SCHEMA app", grant)
    except asyncpg.DuplicateSchemaError as error:
        raise Conflict("app") from error


async def forget_objects(owner_url: str) -> None:
    """Let the next migration apply functions, policies and rights again, changed or not."""
    await _run(owner_url, "COMMENT ON SCHEMA app IS NULL")


async def _run(url: str, *statements: LiteralString) -> None:
    with translated():
        connection = await connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def database_name(url: str) -> str:
    """Return the database that an address names."""
    return urlsplit(url).path.removeprefix("/")


def at_database(url: str, database: str) -> str:
    """Return the address of another database of the same server and login."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def as_login(url: str, login: str, password: str) -> str:
    """Return the address of the same database for another login."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(login)}:{quote(password, safe='')}@{host}"))


def scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803), so that it never sees the password.

    A statement with a password in it may end in the server's log.
    """
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{salt_text}${stored_text}:{server_text}"


async def _create_role(connection: Any, role: str, login: LiteralString) -> None:  # noqa: ANN401  # asyncpg has no public type
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await _execute(connection, "CREATE ROLE %I", role)
    await _execute(connection, f"ALTER ROLE %I {login} {_NEVER}", role)


async def _create_database(connection: Any, database: str) -> None:  # noqa: ANN401  # asyncpg has no public type
    exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
    if not exists:
        await _execute(
            connection,
            "CREATE DATABASE %I OWNER ping_owner TEMPLATE template0 ENCODING 'UTF8'",
            database,
        )
    await _execute(connection, "ALTER DATABASE %I OWNER TO ping_owner", database)
    await _execute(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)
    for login in LOGINS:
        await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, login)


async def _execute(connection: Any, template: LiteralString, *names: str) -> None:  # noqa: ANN401  # asyncpg has no public type
    """Execute a utility statement, which takes no parameters; PostgreSQL quotes the names."""
    statement = await connection.fetchval(
        "SELECT format($1, VARIADIC $2::text[])", template, list(names)
    )
    await connection.execute(statement)
