"""What `pinghub doctor` and `pinghub db` ask of PostgreSQL."""

from msgspec import Struct

from core.db import query


class Server(Struct, frozen=True):
    """The database server and its one extension."""

    version: str
    vector_version: str | None


SERVER = query(
    Server,
    """
    SELECT
      current_setting('server_version') AS version,
      (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector_version
    """,
)


class Room(Struct, frozen=True):
    """Connections of the server; `taken` are all that are open now, ours or not."""

    usable: int
    taken: int


ROOM = query(
    Room,
    """
    SELECT
      current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - current_setting('reserved_connections')::int AS usable,
      (
        -- What others' sessions do is hidden from us, but not that they are there.
        SELECT count(*)::int
        FROM pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL
      ) AS taken
    """,
)


HAS_RELATIONSHIPS = query(bool, "SELECT to_regclass('health_shards') IS NOT NULL", login="system")


class DatabaseFigures(Struct, frozen=True):
    """The database as a whole."""

    name: str
    version: str
    size_bytes: int
    tables: int


DATABASE_FIGURES = query(
    DatabaseFigures,
    """
    SELECT
      current_database()::text AS name,
      current_setting('server_version') AS version,
      pg_database_size(current_database()) AS size_bytes,
      (
        SELECT count(*)::int
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      ) AS tables
    """,
    login="owner",
)

TABLES_WITHOUT_RLS = query(
    str,
    """
    SELECT relname::text
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
      AND relkind IN ('r', 'p')
      AND NOT (relrowsecurity AND relforcerowsecurity)
    ORDER BY relname
    """,
    login="owner",
)

# The columns must lead the index, in any order. Keys of partitions are their parents'.
FOREIGN_KEYS_WITHOUT_INDEX = query(
    str,
    """
    SELECT format(
      '%s (%s)', conrelid::regclass,
      (
        SELECT string_agg(attname, ', ' ORDER BY place)
        FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
      )
    )
    FROM pg_constraint
    JOIN pg_class ON pg_class.oid = conrelid
    WHERE contype = 'f'
      AND relnamespace = 'public'::regnamespace
      AND NOT relispartition
      AND conparentid = 0
      AND NOT EXISTS (
        SELECT
        FROM pg_index
        WHERE indrelid = conrelid
          AND indisvalid
          AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
      )
    ORDER BY 1
    """,
    login="owner",
)

INVALID_INDEXES = query(
    str,
    """
    SELECT indexrelid::regclass::text
    FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace AND NOT (indisvalid AND indisready)
    ORDER BY 1
    """,
    login="owner",
)


class Bloat(Struct, frozen=True):
    """A table or partition much of which is dead rows."""

    table: str
    dead_rows: int
    live_rows: int


BLOATED_TABLES = query(
    Bloat,
    """
    SELECT relname::text AS table, n_dead_tup AS dead_rows, n_live_tup AS live_rows
    FROM pg_stat_user_tables
    WHERE schemaname = 'public' AND n_dead_tup > $1 AND n_dead_tup > n_live_tup * $2::float8
    ORDER BY n_dead_tup DESC
    """,
    login="owner",
)

# Partitions by time are named after their month; what comes next month must have a place by then.
PARTITIONS_MISSING = query(
    str,
    """
    SELECT name
    FROM pg_class AS parent
    JOIN pg_partitioned_table AS way ON way.partrelid = parent.oid AND way.partstrat = 'r'
    CROSS JOIN generate_series(0, 1) AS ahead
    CROSS JOIN date_add(now(), ahead * interval '1 month', 'UTC') AS month
    CROSS JOIN concat(parent.relname, to_char(month AT TIME ZONE 'UTC', '_YYYY_MM')) AS name
    WHERE parent.relnamespace = 'public'::regnamespace
      AND parent.relkind = 'p'
      AND to_regclass(name) IS NULL
    ORDER BY name
    """,
    login="owner",
)


class Stray(Struct, frozen=True):
    """How many rows no month's partition took."""

    events: int
    audit_log: int


STRAY_ROWS = query(
    Stray,
    """
    SELECT
      (SELECT count(*) FROM events_default) AS events,
      (SELECT count(*) FROM audit_log_default) AS audit_log
    """,
    login="owner",
)
