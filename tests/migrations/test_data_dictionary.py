"""The data dictionary knows each table and column of the database, and no other."""

import re
from pathlib import Path

import asyncpg

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
CLASSES = {"personal", "secret", "technical"}
SECRET = re.compile(r"_hash$|(?<!public)_key$|^(?:raw|email)$")
NAMED_LIKE_A_SECRET = {
    ("conversations", "direct_key"),
    ("messages", "client_key"),
    ("users", "email"),
    ("idempotency_keys", "request_hash"),
}


def described() -> dict[tuple[str, str], str]:
    """Return the class of each column that the document describes, by table and column."""
    found: dict[tuple[str, str], str] = {}
    for part in re.split(r"^## ", DICTIONARY.read_text(), flags=re.MULTILINE)[1:]:
        table = part.split("\n", 1)[0]
        for column, privacy in re.findall(r"^\| (\w+) \| (\w+) \|", part, re.MULTILINE):
            if column == "column":
                continue
            assert (table, column) not in found, "described twice"
            found[table, column] = privacy
    return found


async def columns(catalogue: asyncpg.Connection) -> set[tuple[str, str]]:
    rows = await catalogue.fetch(
        """SELECT c.relname AS table, a.attname AS column
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND c.relname <> 'alembic_version'"""
    )
    return {(row["table"], row["column"]) for row in rows}


async def test_each_column_of_the_database_is_described_and_no_other(
    catalogue: asyncpg.Connection,
) -> None:
    in_database, in_document = await columns(catalogue), set(described())
    assert len(in_database) > 150
    assert sorted(in_database - in_document) == [], "without a line in docs/data-dictionary.md"
    assert sorted(in_document - in_database) == [], "gone from the database"


def test_each_column_has_one_of_the_privacy_classes() -> None:
    assert set(described().values()) <= CLASSES


def test_what_is_named_like_a_key_or_a_hash_is_secret() -> None:
    open_secrets = {
        place
        for place, privacy in described().items()
        if SECRET.search(place[1]) and privacy != "secret"
    }
    assert open_secrets == NAMED_LIKE_A_SECRET
