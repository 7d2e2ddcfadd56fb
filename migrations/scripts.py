"""Runs SQL files inside Alembic's transaction."""

import hashlib
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
    "policies",
    "drop_triggers",
    "triggers",
    "events",
)
MONTHS_AHEAD: Final = 2
_MARK: Final = "objects "


def upgrade(name: str) -> None:
    """Run `sql/<name>.up.sql`."""
    run_script(op.get_bind(), (FOLDER / "sql" / f"{name}.up.sql").read_text())


def downgrade(name: str) -> None:
    """Run `sql/<name>.down.sql`, without the triggers, which name columns of the newer schema.

    Those of the older one come back with its own objects, at the next upgrade.
    """
    run_script(op.get_bind(), (FOLDER / "objects" / "drop_triggers.sql").read_text())
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


def apply_objects(connection: Connection) -> None:
    """Re-apply functions, policies, triggers and views, if their text is not the one applied."""
    sql = "\n".join((FOLDER / "objects" / f"{name}.sql").read_text() for name in OBJECTS)
    mark = _MARK + hashlib.sha256(sql.encode()).hexdigest()
    applied = connection.execute(
        text("SELECT obj_description('app'::regnamespace, 'pg_namespace')")
    ).scalar()
    if applied == mark:
        return
    run_script(connection, sql)
    run_script(connection, f"COMMENT ON SCHEMA app IS '{mark}'")


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
