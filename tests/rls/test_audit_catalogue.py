"""What the catalogue says of the audit: nothing that people change is forgotten, no secret kept."""

from collections.abc import Iterator

import asyncpg
import pytest

from core.sealed_columns import SEALED_COLUMNS
from tests.migrations.test_data_dictionary import described
from tests.rls.test_catalogue import CHANGEABLE

# Columns that an interface changes without an entry, and why.
UNRECORDED = {
    ("users", "last_login_at"): "the session that begins is an entry",
    ("profiles", "last_active_at"): "a machine's note, each minute",
    ("conversation_members", "last_read_id"): "reading on is no decision",
    ("contacts", "strength"): "what closeness counts",
    ("contacts", "last_interaction_at"): "what closeness counts",
    ("interests", "confidence"): "fades each day; what people say of it comes with its factor",
    ("interests", "evidence_count"): "what interactions count",
    ("interests", "first_detected_at"): "what interactions count",
    ("interests", "last_reinforced_at"): "what interactions count",
    ("interests", "decayed_at"): "fades each day",
    ("import_jobs", "items_created"): "how far the hub is",
    ("import_jobs", "items_processed"): "how far the hub is",
    ("reminders", "fired_at"): "whether the hub has told of it",
    ("nudges", "closed_at"): "set with the status, which is an entry",
    ("gateways", "config_rev"): "counts the changes of config",
}


async def audited(connection: asyncpg.Connection) -> dict[str, tuple[set[str], list[str]]]:
    """Return table → the columns whose change fires the audit (none: all), its arguments."""
    rows = await connection.fetch(
        """SELECT c.relname AS table, t.tgargs AS arguments,
          array(
            SELECT a.attname::text FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum = ANY (t.tgattr::int2[])
          ) AS columns
        FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE t.tgname = 'audit' AND NOT t.tgisinternal AND t.tgparentid = 0"""
    )
    return {
        row["table"]: (
            set(row["columns"]),
            [part.decode() for part in bytes(row["arguments"]).split(b"\0") if part],
        )
        for row in rows
    }


def secrets() -> Iterator[tuple[str, str]]:
    """Return every column that holds or finds something sealed, or that the dictionary hides."""
    yield from ((item.table, item.column) for item in SEALED_COLUMNS)
    yield from (place for place, privacy in described().items() if privacy == "secret")


async def forgotten(connection: asyncpg.Connection) -> set[tuple[str, str]]:
    """Return the columns that an interface may change without an entry."""
    triggers = await audited(connection)
    return {
        (table, column)
        for table, columns in CHANGEABLE.items()
        for column in columns
        if table not in triggers or (triggers[table][0] and column not in triggers[table][0])
    }


@pytest.mark.req("SEC-03", "SEC-04")
async def test_every_column_that_people_change_is_recorded(catalogue: asyncpg.Connection) -> None:
    assert await forgotten(catalogue) == set(UNRECORDED)
    await catalogue.execute("DROP TRIGGER audit ON contact_cards")
    assert await forgotten(catalogue) == {*UNRECORDED, ("contact_cards", "card")}


@pytest.mark.req("SEC-01", "SEC-03")
async def test_no_secret_column_is_kept_by_the_audit(catalogue: asyncpg.Connection) -> None:
    triggers = await audited(catalogue)
    kept = {
        (table, column)
        for table, column in secrets()
        if table in triggers
        and triggers[table][1][0] == "values"
        and column not in triggers[table][1][1:]
    }
    assert kept == set()
    known = set(
        await catalogue.fetchval(
            """SELECT array_agg(relname::text || '.' || attname) FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = 'public'::regnamespace AND attnum > 0"""
        )
    )
    for table, (_, (_, *redacted)) in triggers.items():
        assert {f"{table}.{column}" for column in redacted} <= known, "redacts what there is not"


@pytest.mark.req("SEC-03")
@pytest.mark.parametrize("action", ["create", "update", "delete", "override", ""])
async def test_nobody_writes_an_entry_of_a_change_that_was_none(
    catalogue: asyncpg.Connection, action: str
) -> None:
    with pytest.raises(asyncpg.RaiseError):
        await catalogue.execute("SELECT app.audit_view($1, 'users', 'x', NULL, NULL)", action)


async def test_only_the_audit_s_own_functions_write_entries(catalogue: asyncpg.Connection) -> None:
    callers = await catalogue.fetch(
        """SELECT rolname FROM pg_roles WHERE rolname LIKE 'ping\\_%'
        AND has_function_privilege(
          rolname, 'app.write_audit(text, text, text, uuid, jsonb, jsonb)', 'EXECUTE'
        )"""
    )
    assert {row["rolname"] for row in callers} == {"ping_definer"}
