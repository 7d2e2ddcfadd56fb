"""What the catalogue must say of every table, key and function."""

import asyncpg
import pytest

from tests.fixtures.postgres import Database

# Machines write these; the rows themselves are the evidence (see migrations/objects/triggers.sql).
NOT_AUDITED = {
    "achievement_increments",
    "achievement_progress",
    "audit_log",
    "connection_path_steps",
    "consent_history",
    "consumer_tasks",
    "events",
    "evidence",
    "graph_changes",
    "import_chunks",
    "import_rows",
    "health_shards",
    "health_snapshots",
    "idempotency_keys",
    "nudge_mornings",
    "insight_contacts",
    "insight_weeks",
    "outbox",
    "path_searches",
    "rejected_taps",
    "relationship_health",
    "ring_taps",
    "streaks",
}
OWNED_BY_OWNER = {
    "user_id",
    "role",
    "request_id",
    "touch",
    "create_partitions",
    "drop_health_snapshots",
}


async def names(connection: asyncpg.Connection, sql: str) -> list[str]:
    return [str(row[0]) for row in await connection.fetch(sql)]


@pytest.mark.req("DBR-01")
async def test_row_level_security_is_enabled_and_forced_on_every_table(catalogue) -> None:
    assert not await names(
        catalogue,
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        AND NOT (relrowsecurity AND relforcerowsecurity)""",
    )


async def test_partitions_made_later_are_fenced_too(catalogue) -> None:
    assert await catalogue.fetchval("SELECT app.create_partitions(14)") > 0
    assert not await names(
        catalogue,
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        AND (NOT (relrowsecurity AND relforcerowsecurity)
          OR (relispartition AND has_table_privilege('ping_api', oid, 'SELECT')))""",
    )
    assert await catalogue.fetchval("SELECT app.create_partitions(14)") == 0


async def test_rows_of_the_default_partition_move_into_the_month_made_for_them(catalogue) -> None:
    user = await catalogue.fetchval("INSERT INTO users (full_name) VALUES ('Ada') RETURNING id")
    later = "date_trunc('month', now()) + interval '5 months 3 days'"
    await catalogue.execute(
        f"""INSERT INTO events (type, user_id, subject_type, subject_id, payload, occurred_at)
        VALUES ('ring.tapped', $1, 'ring', $1, '{{}}', {later})""",
        user,
    )
    place = "SELECT tableoid::regclass::text FROM events"
    assert await catalogue.fetchval(place) == "events_default"
    await catalogue.execute("SELECT app.create_partitions(6)")
    assert await catalogue.fetchval(place) == await catalogue.fetchval(
        f'SELECT to_char({later}, \'"events_"YYYY"_"MM\')'
    )


@pytest.mark.req("DBR-09")
async def test_no_role_of_ours_can_step_around_the_policies(catalogue) -> None:
    roles = await catalogue.fetch(
        """SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'ping\\_%'
        AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"""
    )
    assert {row["rolname"]: row["rolcanlogin"] for row in roles} == {
        "ping_owner": True,
        "ping_api": True,
        "ping_worker": True,
        "ping_system": True,
        "ping_reader": True,
        "ping_definer": False,
        "ping_admin": False,
    }


async def test_the_logins_own_no_table_and_belong_to_no_other_login(catalogue) -> None:
    assert await names(
        catalogue,
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
    ) == ["ping_owner"]
    memberships = await catalogue.fetch(
        """SELECT roleid::regrole::text AS role, member::regrole::text AS member, inherit_option
        FROM pg_auth_members WHERE member::regrole::text LIKE 'ping\\_%'"""
    )
    assert {tuple(row.values()) for row in memberships} == {
        ("ping_definer", "ping_owner", False),
        ("ping_admin", "ping_api", False),
    }


@pytest.mark.req("DBR-03")
async def test_every_foreign_key_has_an_index_that_starts_with_its_columns(catalogue) -> None:
    assert not await names(
        catalogue,
        """SELECT conrelid::regclass || '.' || conname FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0
        AND NOT EXISTS (
          SELECT FROM pg_index
          WHERE indrelid = conrelid
          AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
          AND (indkey::int2[])[0:cardinality(conkey) - 1] <@ conkey
        )""",
    )


# Keys of rows that may be somebody else's, with the reason why the tenant is not part of them. What
# writes them checks in another way, and no login that acts for users may write the column.
ACROSS_TENANTS = {
    "ring_taps_gateway_id_fkey": "any gateway may hear any ring",
    "ring_taps_partner_ring_id_fkey": "the other ring of a touch is somebody else's",
    "ring_claims_ring_id_fkey": "the ring is nobody's until the claim is done",
    "ring_claims_gateway_id_fkey": "app.user_id() owns it when it is asked; rows stay when it goes",
    "rejected_taps_gateway_id_fkey": "evidence has no owner but the gateway's",
    "touches_tap_id_fkey": "written by the pairing, from the tap's own row",
}
SCOPES = ("user_id", "conversation_id", "owner_id")
"""Columns that say whose a row is: one of them is part of every key between rows of tenants."""


@pytest.mark.req("DBR-03")
async def test_keys_between_rows_of_tenants_carry_the_tenant(catalogue) -> None:
    # Foreign-key checks step around policies: without the owner one user could name another's row.
    loose = await names(
        catalogue,
        f"""SELECT c.conname FROM pg_constraint AS c
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND c.conparentid = 0
        AND EXISTS (
          SELECT FROM pg_attribute WHERE attrelid = c.confrelid AND attname IN {SCOPES}
        )
        AND NOT EXISTS (
          SELECT FROM pg_attribute AS a
          WHERE a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey) AND a.attname IN {SCOPES}
        )""",
    )
    assert set(loose) == set(ACROSS_TENANTS)


@pytest.mark.req("DBR-03")
async def test_keys_without_the_tenant_are_written_by_machines_only(catalogue) -> None:
    writable = await names(
        catalogue,
        """SELECT c.conname FROM pg_constraint AS c
        CROSS JOIN unnest(c.conkey) AS k (number)
        CROSS JOIN unnest(ARRAY['ping_api', 'ping_worker']) AS r (login)
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND (
          has_column_privilege(r.login, c.conrelid, k.number, 'INSERT')
          OR has_column_privilege(r.login, c.conrelid, k.number, 'UPDATE')
        )""",
    )
    assert not set(writable) & set(ACROSS_TENANTS)


@pytest.mark.req("DBR-08")
async def test_definer_functions_are_safe_and_nobody_may_call_one_by_default(catalogue) -> None:
    functions = await catalogue.fetch(
        """SELECT proname, prosecdef, pg_get_userbyid(proowner) AS owner,
          coalesce(proconfig, '{}') AS settings,
          has_function_privilege('public', oid, 'EXECUTE') AS is_public
        FROM pg_proc WHERE pronamespace = 'app'::regnamespace"""
    )
    assert len(functions) > 10
    for function in functions:
        name = function["proname"]
        assert not function["is_public"], name
        expected = "ping_owner" if name in OWNED_BY_OWNER else "ping_definer"
        assert function["owner"] == expected, name
        if function["prosecdef"]:
            assert 'search_path=""' in function["settings"], name


@pytest.mark.req("DBR-09")
async def test_functions_whose_actor_is_in_the_rows_are_for_the_system_only(catalogue) -> None:
    for signature in (
        "app.record_taps(jsonb)",
        "app.record_sun_tap(bytea[], int, bytea, bytea)",
        "app.emit(text, uuid, text, uuid, jsonb)",
        "app.create_partitions(int)",
        "app.befriend(uuid, uuid, text)",
        "app.is_blocked(uuid, uuid)",
        "app.answer_touch(uuid, uuid, text)",
        "app.exchange_touch(uuid, uuid[], bytea[])",
    ):
        callers = await names(
            catalogue,
            f"""SELECT rolname FROM pg_roles WHERE rolname LIKE 'ping\\_%' AND rolcanlogin
            AND rolname <> 'ping_owner'
            AND has_function_privilege(rolname, '{signature}', 'EXECUTE')""",
        )
        assert callers == ["ping_system"], signature


@pytest.mark.req("SEC-03")
async def test_every_table_that_people_change_is_audited(catalogue) -> None:
    missing = await names(
        catalogue,
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace
        AND NOT EXISTS (
          SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = 'audit'
        )""",
    )
    assert set(missing) == NOT_AUDITED


@pytest.mark.req("DBR-04")
async def test_times_carry_their_zone_and_changes_are_stamped(catalogue) -> None:
    assert not await names(
        catalogue,
        """SELECT attrelid::regclass || '.' || attname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        AND atttypid = 'timestamp'::regtype""",
    )
    assert not await names(
        catalogue,
        """SELECT attrelid::regclass FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attname = 'updated_at'
        AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = attrelid AND tgname = 'touch')""",
    )


@pytest.mark.req("DBR-02")
async def test_policies_ask_for_the_user_once_per_query(catalogue) -> None:
    # Inside a sub-select the function is evaluated once, bare it runs for each row.
    bare = await names(
        catalogue,
        """SELECT tablename || '.' || policyname FROM pg_policies
        WHERE schemaname = 'public'
        AND regexp_replace(
          coalesce(qual, '') || coalesce(with_check, ''),
          'SELECT app\\.user_id\\(\\)', '', 'g'
        ) LIKE '%app.user_id()%'""",
    )
    assert not bare


CHANGEABLE = {
    "contacts": {
        "full_name",
        "first_name",
        "last_name",
        "company",
        "job_title",
        "linkedin_url",
        "avatar_url",
        "location",
        "bio",
        "notes",
        "birthday",
        "context",
        "source",
        "strength",
        "last_interaction_at",
        "frequency",
        "tags",
        "linked_user_id",
        "linked_by",
        "archived_at",
        "merged_into_id",
    },
    "contact_methods": {"contact_id", "value", "value_hash", "label", "is_primary", "source"},
    "interests": {
        "contact_id",
        "confidence",
        "evidence_count",
        "first_detected_at",
        "last_reinforced_at",
        "decayed_at",
        "decay_factor",
    },
    "contact_links": {
        "contact_a_id",
        "contact_b_id",
        "kind",
        "strength",
    },
    "contact_merges": {"record", "undone_at"},
    "circles": {"name", "tier", "color", "position", "cadence_days"},
    "relationship_types": {"display_name", "scoring_weights", "decay_rate"},
    "nudges": {"status", "closed_at"},
    "users": {"full_name", "timezone", "locale", "onboarding_completed_at", "last_login_at"},
    "sessions": {"device_name", "revoked_at", "revoked_because"},
    "consents": {"granted", "text_version", "source", "granted_at", "withdrawn_at"},
    "api_keys": {"name", "scopes", "revoked_at"},
    "passkey_credentials": {"name"},
    "profiles": {
        "username",
        "display_name",
        "bio",
        "visibility",
        "privacy_settings",
        "last_active_at",
    },
    "rings": {"label", "status"},
    "gateways": {"name", "config", "config_rev"},
    "conversation_members": {"last_read_id", "muted_until"},
    "contact_cards": {"card"},
    "interactions": {
        "contact_id",
        "kind",
        "direction",
        "subject",
        "content",
        "summary",
        "sentiment",
        "occurred_at",
        "duration_seconds",
        "metadata",
        "is_private",
    },
    "interaction_participants": {"contact_id"},
    "connection_goals": {
        "contact_id",
        "kind",
        "intention",
        "timeline",
        "success_criteria",
        "status",
        "achieved_at",
    },
    "connection_paths": {"goal_id", "status"},
    "reminders": {
        "contact_id",
        "title",
        "note",
        "timezone",
        "first_local",
        "recurrence",
        "due_at",
        "status",
        "completed_at",
        "snoozed_until",
        "fired_at",
    },
    "insights": {"dismissed_at", "acted_on_at"},
    "import_jobs": {"dry_run", "status", "items_processed", "items_created"},
}
"""What an interface acting for a user may change; counters, owners and roles are not among it."""

UNREADABLE = {
    "users": {"email_hash"},
    "identity_hashes": {"hash"},
    "sessions": {"token_hash"},
    "rings": {
        "tap_key",
        "id_key",
        "next_tap_key",
        "next_id_key",
        "former_tap_key",
        "claim_code_hash",
        "nfc_uid_hash",
        "key_id",
    },
    "ring_claims": {"code_hash", "hub_private_key", "proof_hash", "confirmation"},
    "gateways": {"claim_hash", "claim_key_hash", "public_key"},
    "gateway_certificates": {"certificate", "public_key_hash"},
    "ring_taps": {
        "raw",
        "session_hash",
        "peer_eid",
        "peer_ctr",
        "partner_ring_id",
        "partner_user_id",
    },
    "touches": {"meeting_id", "side", "searched_at"},
    "import_chunks": {"content"},
    "import_rows": {"content_hash", "fingerprint"},
}


@pytest.mark.req("SEC-01")
@pytest.mark.parametrize("login", ["ping_api", "ping_worker"])
async def test_secrets_are_not_readable_even_to_their_owner(catalogue, login: str) -> None:
    for table, columns in UNREADABLE.items():
        for column in columns:
            assert not await catalogue.fetchval(
                "SELECT has_column_privilege($1, $2, $3, 'SELECT')", login, table, column
            ), f"{table}.{column}"


async def test_only_the_listed_columns_can_be_changed(catalogue) -> None:
    found: dict[str, set[str]] = {}
    for row in await catalogue.fetch(
        """SELECT relname, attname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND attnum > 0
        AND relname <> 'idempotency_keys'
        AND (has_column_privilege('ping_api', attrelid, attnum, 'UPDATE')
          OR has_column_privilege('ping_worker', attrelid, attnum, 'UPDATE'))"""
    ):
        found.setdefault(row["relname"], set()).add(row["attname"])
    assert found == CHANGEABLE


async def test_an_admin_is_entered_for_one_transaction_and_reads_the_audit_log(
    pristine: Database,
) -> None:
    connection = await asyncpg.connect(pristine.api_url)
    try:
        await connection.execute("SELECT FROM audit_log")
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE ping_admin")
            await connection.fetch("SELECT action FROM audit_log")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute("SELECT id FROM users")
        assert await connection.fetchval("SELECT current_user") == "ping_api"
        for role in ("ping_owner", "ping_definer", "ping_system"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {role}")
    finally:
        await connection.close()


async def test_the_reader_of_analytics_sees_no_table(catalogue) -> None:
    assert not await names(
        catalogue,
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace IN ('public'::regnamespace)
        AND has_any_column_privilege('ping_reader', oid, 'SELECT, INSERT, UPDATE')""",
    )
