"""What the schema looked like when the last migration ended: `db check` finds what a hand changed.

Kept in the database itself, beside Alembic's version: tables, columns, constraints, indexes,
policies, triggers, functions and their rights, as one digest each. Partitions come and go by
themselves and are left out.
"""

from typing import Final

from sqlalchemy import Connection, text

from migrations import scripts

_KEEP: Final = """
CREATE TABLE IF NOT EXISTS internal.migrated_objects (
  object text PRIMARY KEY,
  digest text NOT NULL
);

CREATE OR REPLACE VIEW internal.schema_objects AS
WITH relations AS (
  SELECT *
  FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND NOT relispartition
)
SELECT 'table ' || relname AS object, md5(concat_ws(
  '|', relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, relacl, reloptions
)) AS digest
FROM relations
UNION ALL
SELECT 'column ' || relname || '.' || attname, md5(concat_ws(
  '|', format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attacl,
  pg_get_expr(adbin, adrelid)
))
FROM relations
JOIN pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT 'constraint ' || relname || '.' || conname,
  md5(concat_ws('|', pg_get_constraintdef(pg_constraint.oid), convalidated))
FROM relations
JOIN pg_constraint ON conrelid = relations.oid AND conparentid = 0 AND contype != 't'
UNION ALL
SELECT 'index ' || indexrelid::regclass::text, md5(pg_get_indexdef(indexrelid))
FROM relations
JOIN pg_index ON indrelid = relations.oid
UNION ALL
SELECT 'policy ' || relname || '.' || polname, md5(concat_ws(
  '|', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid),
  pg_get_expr(polwithcheck, polrelid)
))
FROM relations
JOIN pg_policy ON polrelid = relations.oid
UNION ALL
SELECT 'trigger ' || relname || '.' || tgname,
  md5(concat_ws('|', pg_get_triggerdef(pg_trigger.oid), tgenabled))
FROM relations
JOIN pg_trigger ON tgrelid = relations.oid AND NOT tgisinternal
UNION ALL
SELECT 'function ' || oid::regprocedure::text,
  md5(concat_ws('|', pg_get_functiondef(oid), proowner::regrole, proacl))
FROM pg_proc
WHERE pronamespace = 'app'::regnamespace AND prokind = 'f';

CREATE OR REPLACE VIEW internal.schema_differences AS
SELECT object || CASE
  WHEN migrated.digest IS NULL THEN ' is new'
  WHEN live.digest IS NULL THEN ' is gone'
  ELSE ' is another'
END AS difference
FROM internal.schema_objects AS live
FULL JOIN internal.migrated_objects AS migrated USING (object)
WHERE live.digest IS DISTINCT FROM migrated.digest;

DELETE FROM internal.migrated_objects;
INSERT INTO internal.migrated_objects SELECT object, digest FROM internal.schema_objects;
"""


def keep(connection: Connection) -> None:
    """Remember the schema as it is now."""
    scripts.run_script(connection, _KEEP)


def forget(connection: Connection) -> None:
    """Remember nothing, where the schema is on its way."""
    scripts.run_script(connection, "DROP TABLE IF EXISTS internal.migrated_objects CASCADE")


def differences(connection: Connection) -> list[str]:
    """Return what differs from what the last migration left, if that is remembered."""
    if not connection.execute(text("SELECT to_regclass('internal.schema_differences')")).scalar():
        return []
    rows = connection.execute(
        text("SELECT difference FROM internal.schema_differences ORDER BY difference")
    )
    return [str(difference) for (difference,) in rows]
