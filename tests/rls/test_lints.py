"""Mistakes of schemas that have cost others their data or their speed, each with one planted.

The kinds are those of splinter, the linter of Supabase (docs/security.md says which of them can
apply here), for our own roles: what it asks of `anon` and `authenticated` is asked of every login
that acts for users. The queries are ours.
"""

from dataclasses import dataclass

import asyncpg
import pytest

USERS = "ARRAY['ping_api', 'ping_worker', 'ping_reader', 'ping_admin']"
TABLE = "c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"


@dataclass(frozen=True)
class Lint:
    """A query that names what is wrong, a statement that makes it so, and what is right here."""

    query: str
    plant: str
    exceptions: frozenset[str] = frozenset()
    why: str = ""


# An operand of a sub-select is evaluated once per query, a bare one for each row.
_ONCE = r"\( SELECT (app\.\w+\(\)|current_setting\([^)]*\)) AS \w+\)"
_PER_ROW = r"app\.(user_id|role|request_id)\(\)|current_setting\("

LINTS = {
    "rls_disabled": Lint(
        f"""SELECT c.relname FROM pg_class AS c
        WHERE {TABLE} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
        "ALTER TABLE rings NO FORCE ROW LEVEL SECURITY",
    ),
    "policy_exists_rls_disabled": Lint(
        f"""SELECT DISTINCT c.relname FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE {TABLE} AND NOT c.relrowsecurity""",
        "ALTER TABLE rings DISABLE ROW LEVEL SECURITY",
    ),
    "rls_enabled_no_policy": Lint(
        f"""SELECT c.relname FROM pg_class AS c
        WHERE {TABLE} AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)""",
        "DROP POLICY own ON users; DROP POLICY machine ON users",
    ),
    "rls_policy_always_true": Lint(
        f"""SELECT tablename || '.' || policyname FROM pg_policies
        WHERE permissive = 'PERMISSIVE' AND (roles && {USERS}::name[] OR 'public' = ANY (roles))
        AND regexp_replace(coalesce(qual, with_check, 'true'), '[() ]', '', 'g')
          IN ('true', '1=1')""",
        "CREATE POLICY hole ON rings TO ping_api USING ((1 = 1))",
    ),
    "policy_for_everybody": Lint(
        "SELECT tablename || '.' || policyname FROM pg_policies WHERE 'public' = ANY (roles)",
        "CREATE POLICY hole ON rings USING (user_id IS NULL)",
    ),
    "multiple_permissive_policies": Lint(
        """SELECT p.tablename || ' ' || r.role || ' ' || v.verb
        FROM pg_policies AS p
        CROSS JOIN unnest(p.roles) AS r (role)
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS v (verb)
        WHERE p.permissive = 'PERMISSIVE' AND p.cmd IN (v.verb, 'ALL')
        GROUP BY p.tablename, r.role, v.verb HAVING count(*) > 1""",
        "CREATE POLICY more ON rings FOR SELECT TO ping_api USING (status = 'lost')",
    ),
    "rls_initplan": Lint(
        f"""SELECT tablename || '.' || policyname FROM pg_policies
        WHERE regexp_replace(concat_ws(' ', qual, with_check), '{_ONCE}', '', 'g')
          ~ '{_PER_ROW}'""",
        """CREATE POLICY slow ON rings AS RESTRICTIVE TO ping_api
        USING (current_setting('app.role', true) <> 'x')""",
    ),
    "granted_to_public": Lint(
        f"""SELECT c.relname FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
        UNION ALL SELECT n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
        WHERE n.nspname IN ('public', 'app', 'internal') AND a.grantee = 0
        UNION ALL SELECT f.proname FROM pg_proc AS f
        WHERE f.pronamespace = 'app'::regnamespace
        AND has_function_privilege('public', f.oid, 'EXECUTE')
        UNION ALL SELECT c.relname FROM pg_class AS c
        WHERE {TABLE} AND c.relispartition
        AND has_any_column_privilege('ping_api', c.oid, 'SELECT')""",
        "GRANT SELECT ON rings TO PUBLIC",
    ),
    "security_definer_view": Lint(
        """SELECT relname FROM pg_class
        WHERE relkind = 'v' AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
        AND NOT coalesce(reloptions, '{}') @> ARRAY['security_invoker=true']""",
        "CREATE VIEW all_rings AS SELECT * FROM rings",
    ),
    "materialized_view_or_foreign_table": Lint(
        f"""SELECT c.relname FROM pg_class AS c
        WHERE c.relkind IN ('m', 'f') AND EXISTS (
          SELECT FROM unnest({USERS}) AS r WHERE has_any_column_privilege(r, c.oid, 'SELECT')
        )""",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM rings; GRANT SELECT ON m TO ping_api",
    ),
    "function_search_path_mutable": Lint(
        """SELECT proname FROM pg_proc
        WHERE pronamespace = 'app'::regnamespace
        -- The names of a body in SQL's own syntax are bound when it is made.
        AND prosqlbody IS NULL AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=""']""",
        """CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'""",
        frozenset({"contacts_beside", "contacts_met"}),
        "with a setting PostgreSQL would not put their text in place of the call; they run as the"
        " caller, and name everything in full",
    ),
    "sensitive_columns_exposed": Lint(
        f"""SELECT c.relname || '.' || a.attname FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE {TABLE} AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname ~ '(hash|secret|token|password|_key|private|^key|wrapped|proof|code)(_|$)'
        AND EXISTS (
          SELECT FROM unnest({USERS}) AS r WHERE has_column_privilege(r, c.oid, a.attnum, 'SELECT')
        )""",
        "ALTER TABLE rings ADD COLUMN new_secret text; GRANT SELECT ON rings TO ping_api",
        frozenset(
            {
                "achievements.code",  # a name for programs
                "contact_methods.value_hash",  # of an address that the same user has written
                "conversations.direct_key",  # the ids of both members
                "interaction_participants.is_private",  # as their interaction
                "interactions.is_private",  # the user's own mark
                "idempotency_keys.key",  # the client's own
                "idempotency_keys.request_hash",  # of what the same user has sent
                "messages.client_key",  # the client's own
                "ring_claims.gateway_code",  # an error code
                "ring_claims.hub_public_key",
            }
        ),
        "public, or the user's own",
    ),
    "no_primary_key": Lint(
        f"""SELECT c.relname FROM pg_class AS c
        WHERE {TABLE} AND NOT EXISTS (
          SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary
        )""",
        "CREATE TABLE heap (n int)",
    ),
    "duplicate_index": Lint(
        f"""SELECT min(i.indexrelid::regclass::text) FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE {TABLE}
        GROUP BY i.indrelid, regexp_replace(
          pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* ON ', ''
        ) HAVING count(*) > 1""",
        "CREATE INDEX again ON ring_taps (user_id, id DESC)",
    ),
    "unsupported_reg_types": Lint(
        f"""SELECT c.relname || '.' || a.attname FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE {TABLE} AND a.attnum > 0
        AND a.atttypid::regtype::text ~ '^reg(?!class$|role$|type$)'""",
        "ALTER TABLE rings ADD COLUMN maker regproc",
    ),
    "extension_in_public": Lint(
        """SELECT extname FROM pg_extension WHERE extnamespace = 'public'::regnamespace""",
        """SET LOCAL allow_system_table_mods = on;
        UPDATE pg_extension SET extnamespace = 'public'::regnamespace WHERE extname = 'plpgsql'""",
        frozenset({"vector"}),
        "only the owner may create anything in that schema, so nobody stands in front of it",
    ),
}


async def complaints(catalogue: asyncpg.Connection, lint: Lint) -> set[str]:
    return {str(row[0]) for row in await catalogue.fetch(lint.query)} - lint.exceptions


@pytest.mark.req("DBR-01", "DBR-08")
async def test_no_lint_complains(catalogue: asyncpg.Connection) -> None:
    found = {name: await complaints(catalogue, lint) for name, lint in LINTS.items()}
    assert {name: names for name, names in found.items() if names} == {}


async def test_every_lint_sees_what_it_is_for(catalogue: asyncpg.Connection) -> None:
    blind: list[str] = []
    for name, lint in LINTS.items():
        transaction = catalogue.transaction()
        await transaction.start()
        try:
            await catalogue.execute(lint.plant)
            blind += [] if await complaints(catalogue, lint) else [name]
        finally:
            await transaction.rollback()
    assert blind == []


async def test_every_exception_is_still_one(catalogue: asyncpg.Connection) -> None:
    for name, lint in LINTS.items():
        assert bool(lint.exceptions) == bool(lint.why), name
        known = {str(row[0]) for row in await catalogue.fetch(lint.query)}
        assert lint.exceptions <= known, name
