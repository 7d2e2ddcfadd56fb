"""What each viewer can do to each row, tried verb by verb, and compared with rules.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from tests.rls import rules
from tests.rls.people import World, login_of
from tests.rls.rules import Viewer

USERS_ROLES = ("ping_api", "ping_worker")


async def findings(world: World, viewer: Viewer | None = None) -> list[str]:
    """Return every cell of the matrix that differs from the rules."""
    viewer = viewer or Viewer()
    connection = await asyncpg.connect(login_of(world.database, viewer.role))
    superuser = await asyncpg.connect(world.database.superuser_url)
    if viewer.role == "ping_admin":
        # The database believes the claim only of whom it has in that role.
        await superuser.execute(
            "UPDATE users SET role = $2 WHERE id = $1", world.viewer, viewer.claim
        )
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {viewer.role}")
            for name, value in (
                ("user_id", str(world.viewer) if viewer.is_known else ""),
                ("role", viewer.claim),
                ("actor_kind", viewer.kind),
            ):
                await connection.execute("SELECT set_config($1, $2, true)", f"app.{name}", value)
            return await Look(world, viewer, connection, superuser).findings()
    finally:
        await connection.close()
        await superuser.close()


@dataclass
class Look:
    """One viewer's connection, and one that sees everything."""

    world: World
    viewer: Viewer
    connection: asyncpg.Connection
    superuser: asyncpg.Connection

    async def findings(self) -> list[str]:
        """Return every cell of the matrix that differs from the rules."""
        found: list[str] = []
        for table, relations in self.world.rows.items():
            if table not in rules.API:
                found.append(f"{table}: no rule")
                continue
            inserted = await self._inserts(table)
            for relation in relations:
                expected = rules.expected(self.viewer, table, relation)
                verbs = await self._allowed(table, relation)
                becomes_own = (table, relation) in rules.BECOMES_OWN
                if inserted[relation] and not (self.viewer.role in USERS_ROLES and becomes_own):
                    verbs.add("INSERT")
                if verbs != expected:
                    found.append(
                        f"{self.viewer.role} {table} {relation}:"
                        f" {sorted(verbs)}, not {sorted(expected)}"
                    )
        return found

    async def _allowed(self, table: str, relation: str) -> set[str]:
        """Try each verb on the rows of one relation; return those that reached any of them."""
        columns = await self.connection.fetch(
            """SELECT attname,
              has_column_privilege(attrelid, attnum, 'SELECT') AS readable,
              has_column_privilege(attrelid, attnum, 'UPDATE') AND attidentity = '' AS writable
            FROM pg_attribute
            WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
            AND attgenerated = ''""",
            table,
        )
        readable = [row["attname"] for row in columns if row["readable"]]
        writable = [row["attname"] for row in columns if row["writable"]]
        places = self.world.rows[table].get(relation, [])
        # System columns need a right on the whole table, so the rows are found by their keys.
        wanted = await self._keys(table, places, readable) if readable else set()
        found: set[str] = set()
        if readable and wanted & _keys_of(
            await self.connection.fetch(f"SELECT {', '.join(readable)} FROM {table}"), readable
        ):
            found.add("SELECT")
        if writable:
            returning = ", ".join(readable) or "1"
            async with _undone(self.connection):
                touched = await self.connection.fetch(
                    f"UPDATE {table} SET {writable[0]} = {writable[0]} RETURNING {returning}"
                )
            found |= {"UPDATE"} if wanted & _keys_of(touched, readable) else set()
        try:
            async with _undone(self.connection):
                gone = await self.connection.fetch(
                    f"DELETE FROM {table} RETURNING {', '.join(readable)}"
                )
                found |= {"DELETE"} if wanted & _keys_of(gone, readable) else set()
        except asyncpg.InsufficientPrivilegeError:
            pass
        except asyncpg.PostgresSyntaxError:
            assert not readable
        return found

    async def _keys(
        self, table: str, places: list[str], columns: list[str]
    ) -> set[tuple[str, ...]]:
        known = await self.superuser.fetch(
            f"""SELECT {", ".join(columns)} FROM {table}
            WHERE tableoid::text || ':' || ctid::text = ANY ($1)""",
            places,
        )
        return _keys_of(known, columns)

    async def _inserts(self, table: str) -> dict[str, bool]:
        """Try to add a copy of a row of each relation; return which was let in."""
        columns = [
            row["attname"]
            for row in await self.superuser.fetch(
                """SELECT attname FROM pg_attribute
                WHERE attrelid = $1::regclass AND attnum > 0
                AND attidentity = '' AND attgenerated = ''
                AND has_column_privilege($2, attrelid, attnum, 'INSERT')""",
                table,
                self.viewer.role,
            )
        ]
        result: dict[str, bool] = {}
        for relation, places in self.world.rows[table].items():
            result[relation] = bool(columns) and await self._inserted(table, columns, places[0])
        return result

    async def _inserted(self, table: str, columns: list[str], place: str) -> bool:
        row = await self.superuser.fetchrow(
            f"""SELECT {", ".join(columns)} FROM {table}
            WHERE tableoid::text || ':' || ctid::text = $1""",
            place,
        )
        assert row is not None
        values = {name: row[name] for name in columns if name != "id"}
        for name in ("token_hash", "key", "client_key"):
            if name in values:
                values[name] = b"new" if name == "token_hash" else "new"
        marks = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        try:
            async with _undone(self.connection):
                await self.connection.execute(
                    f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",
                    *values.values(),
                )
        except asyncpg.IntegrityConstraintViolationError:
            return True  # policies are asked before constraints
        except asyncpg.InsufficientPrivilegeError:
            return False
        return True


@asynccontextmanager
async def _undone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Open a savepoint that is always rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _keys_of(rows: list[asyncpg.Record], columns: list[str]) -> set[tuple[str, ...]]:
    keys = [name for name in columns if name not in {"updated_at", "last_message_at"}]
    return {tuple(str(row[name]) for name in keys) for row in rows}
