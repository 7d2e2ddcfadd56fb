"""Runs SQL files inside Alembic's transaction."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import op
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

FOLDER: Final = Path(__file__).parent
# Functions before the policies and triggers that call them; drop_triggers.sql drops all triggers.
OBJECTS: Final = (
    "functions",
    "audit",
    "consents",
    "certificates",
    "claims",
    "touches",
    "reads",
    "api_keys",
    "encryption",
    "identities",
    "logins",
    "flags",
    "contacts",
    "interactions",
    "closeness",
    "goals",
    "imports",
    "policies",
    "drop_triggers",
    "triggers",
    "events",
)
# Columns default to them, so that migrations make them.
_FUNCTIONS_OF_MIGRATIONS: Final = ("user_id", "role", "request_id")
_FIRST_AFTER_FUNCTIONS: Final = "policies"
MONTHS_AHEAD: Final = 2
_MARK: Final = "objects "


def upgrade(name: str) -> None:
    """Run `sql/<name>.up.sql`, without triggers and policies, which name columns it may drop."""
    _drop_triggers_and_policies(op.get_bind())
    run_script(op.get_bind(), (FOLDER / "sql" / f"{name}.up.sql").read_text())


def downgrade(name: str) -> None:
    """Run `sql/<name>.down.sql`, without the objects, which rest on what is to be dropped.

    Those of a released revision come back at the end; those of another with the older code's `up`.
    """
    _drop_objects(op.get_bind())
    run_script(op.get_bind(), (FOLDER / "sql" / f"{name}.down.sql").read_text())


def run_script(connection: Connection, sql: str) -> None:
    """Run many statements as one text.

    asyncpg takes several statements only outside of its prepared protocol, and SQLAlchemy sends
    BEGIN with its first own statement only: without one before it, the script would commit itself.
    """
    connection.execute(text("SELECT 1"))
    driver: Any = connection.connection.driver_connection
    try:
        await_only(driver.execute(sql))
    except asyncpg.PostgresError as error:
        # As SQLAlchemy wraps those of its own statements.
        raise DBAPIError(None, None, error) from error


def newest_objects() -> dict[str, str]:
    """Return the texts of this code's functions, policies and triggers, in their order."""
    return {name: (FOLDER / "objects" / f"{name}.sql").read_text() for name in OBJECTS}


def mark_of(objects: Mapping[str, str]) -> str:
    """Return what the schema `app` is commented with once these objects are applied."""
    return _MARK + hashlib.sha256("\n".join(objects.values()).encode()).hexdigest()


def applied_mark(connection: Connection) -> str | None:
    """Return the mark of the objects that are applied, if any are."""
    return connection.execute(
        text("SELECT obj_description(to_regnamespace('app'), 'pg_namespace')")
    ).scalar()


def apply_objects(connection: Connection, objects: Mapping[str, str], *, anew: bool) -> None:
    """Re-apply functions, policies and triggers, and drop those that are in no file any more.

    `anew` drops all functions first: one whose result or parameter names changed cannot be
    replaced. Otherwise they are replaced in place, which sessions that run them do not notice.
    """
    names = list(objects)
    functions = names[: names.index(_FIRST_AFTER_FUNCTIONS)]
    if anew:
        _drop_objects(connection)
    run_script(connection, "\n".join(objects[name] for name in functions))
    left = _functions(connection, touched_too=False)
    run_script(connection, "\n".join(objects[name] for name in names if name not in functions))
    _drop_functions(connection, left)
    run_script(connection, f"COMMENT ON SCHEMA app IS '{mark_of(objects)}'")


def forget_objects(connection: Connection) -> None:
    """Let the next `apply_objects` apply them, changed or not."""
    run_script(
        connection,
        """
        DO $$ BEGIN
          IF to_regnamespace('app') IS NOT NULL THEN COMMENT ON SCHEMA app IS NULL; END IF;
        END $$
        """,
    )


def create_partitions(connection: Connection) -> None:
    """Create this month's and the next partitions; later ones are the scheduler's."""
    connection.execute(text("SELECT app.create_partitions(:months)"), {"months": MONTHS_AHEAD})


# All but `machine`, by which the owner's own statements see rows.
_DROP_POLICIES: Final = """
DO $$
DECLARE
  p record;
BEGIN
  FOR p IN
    SELECT polname, polrelid::regclass AS relation
    FROM pg_policy
    JOIN pg_class ON pg_class.oid = polrelid
    WHERE relnamespace = 'public'::regnamespace AND polname != 'machine'
  LOOP
    EXECUTE format('DROP POLICY %I ON %s', p.polname, p.relation);
  END LOOP;
END
$$;
"""


def _drop_triggers_and_policies(connection: Connection) -> None:
    drop_triggers = (FOLDER / "objects" / "drop_triggers.sql").read_text()
    run_script(connection, drop_triggers + _DROP_POLICIES)


def _drop_objects(connection: Connection) -> None:
    _drop_triggers_and_policies(connection)
    _drop_functions(connection, _functions(connection, touched_too=True))


def _functions(connection: Connection, *, touched_too: bool) -> list[str]:
    """Return the signatures in `app`, unless this very transaction has written them."""
    rows = connection.execute(
        text(
            """
            SELECT oid::regprocedure::text
            FROM pg_proc
            WHERE pronamespace = 'app'::regnamespace
              AND proname != ALL (:kept)
              AND (:touched_too OR xmin != pg_current_xact_id()::xid)
            """
        ),
        {"kept": list(_FUNCTIONS_OF_MIGRATIONS), "touched_too": touched_too},
    )
    return [signature for (signature,) in rows]


def _drop_functions(connection: Connection, signatures: list[str]) -> None:
    if signatures:
        # In one statement, as some are used by others. The schema's owner may drop anybody's.
        run_script(connection, f"SET LOCAL ROLE ping_owner; DROP FUNCTION {', '.join(signatures)}")
