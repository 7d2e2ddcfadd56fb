"""People with rows in every table, and what each row is to one of them."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from tests.fixtures.postgres import Database


@dataclass
class World:
    """Ada's and Grace's rows; Eve has the same of her own and shares nothing with Ada.

    Grace has blocked Eve and is blocked by Ada.
    """

    database: Database
    people: dict[str, UUID]
    viewer: UUID
    rows: dict[str, dict[str, list[str]]]
    """table → relation to the viewer → `tableoid:ctid`."""


async def make_world(database: Database, viewer: str = "ada") -> World:
    """Put rows into every table and sort them by what they are to one of the people."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        people = dict(zip(("ada", "grace", "eve"), await populate(connection), strict=True))
        rows = {
            table: await relations(connection, table, people[viewer])
            for table in await tables_of(connection)
        }
    finally:
        await connection.close()
    return World(database, people, people[viewer], rows)


async def populate(connection: asyncpg.Connection) -> tuple[UUID, UUID, UUID]:
    """Put rows of two conversing users and of a stranger into every table."""
    people = []
    for number, name in enumerate(("Ada", "Grace", "Eve"), start=1):
        user = await connection.fetchval(
            "INSERT INTO users (full_name) VALUES ($1) RETURNING id", name
        )
        people.append(user)
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(user))
            await connection.execute(
                """INSERT INTO sessions (family_id, token_hash, expires_at)
                VALUES (uuidv7(), $1, now() + interval '1 day')""",
                name.encode(),
            )
            await connection.execute(
                "INSERT INTO idempotency_keys (key, request_hash) VALUES ('k', '')"
            )
            await connection.execute(
                """INSERT INTO user_logins (provider, issuer, subject)
                VALUES ('google', 'https://accounts.google.com', $1)""",
                name,
            )
            await connection.execute(
                """WITH login AS (
                  INSERT INTO user_logins (provider, issuer, subject)
                  VALUES ('passkey', 'localhost', $1)
                  RETURNING id
                )
                INSERT INTO passkey_credentials (
                  id, credential_id, public_key, sign_count, is_user_verified, is_backup_eligible,
                  is_backed_up
                )
                SELECT id, $2, $2, 0, true, true, true FROM login""",
                name,
                name.encode(),
            )
            await connection.execute(
                "INSERT INTO identity_hashes (kind, hash) VALUES ('email', $1)", name.encode()
            )
            await connection.execute(
                """INSERT INTO api_keys (name, prefix, secret_hash, scopes)
                VALUES ('backend', $1, $2, '{taps:read}')""",
                f"{number + 1}" * 12,
                number.to_bytes(32, "big"),
            )
            await connection.execute("INSERT INTO contact_cards (card) VALUES ('')")
            await _add_contacts(connection, name)
            await _add_goals(connection)
            await _add_imports(connection)
            await connection.execute("INSERT INTO cohorts (name) VALUES ($1)", name.lower())
            await connection.execute(
                "INSERT INTO cohort_members (cohort, user_id) VALUES ($1, $2)", name.lower(), user
            )
            await connection.execute(
                "INSERT INTO feature_flags (key, enabled, percentage) VALUES ($1, true, 0)",
                name.lower(),
            )
            await connection.execute(
                """INSERT INTO consents (purpose, granted, text_version, source, granted_at)
                VALUES ('location', true, 1, 'settings', now())"""
            )
        ring = await connection.fetchval(
            """INSERT INTO rings (user_id, kind, status, label, device_id)
            VALUES ($1, 'ble', 'active', 'ring', $2) RETURNING id""",
            user,
            number.to_bytes(8, "big"),
        )
        await connection.execute(
            """INSERT INTO ring_claims (
              user_id, ring_id, code_hash, label, nonce, hub_public_key, expires_at
            )
            VALUES ($1, $2, '', 'ring', $3, $4, now())""",
            user,
            ring,
            bytes(8),
            bytes(32),
        )
        gateway = await connection.fetchval(
            "INSERT INTO gateways (user_id, name) VALUES ($1, 'home') RETURNING id", user
        )
        await connection.execute(
            """INSERT INTO gateway_certificates (
              user_id, gateway_id, serial, fingerprint, public_key_hash, certificate,
              not_before, not_after
            )
            VALUES ($1, $2, $3, $4, $4, '', now(), now() + interval '90 days')""",
            user,
            gateway,
            f"{number:016x}",
            number.to_bytes(32, "big"),
        )
        await connection.execute(
            """INSERT INTO ring_taps (user_id, ring_id, kind, source, boot, seq, partner_user_id)
            VALUES ($1, $2, 'ring_to_ring', 'ble', 1, 1, $3)""",
            user,
            ring,
            people[0] if name == "Grace" else None,
        )
        await connection.execute(
            "INSERT INTO rejected_taps (gateway_id, reason) VALUES ($1, 'bad_tag')", gateway
        )
    ada, grace, eve = people
    for one, other in ((ada, grace), (grace, eve), (eve, grace)):
        await connection.execute(
            "INSERT INTO blocks (user_id, blocked_id) VALUES ($1, $2)", one, other
        )
    for one, other in ((ada, grace), (grace, eve)):
        await connection.execute("SELECT app.befriend($1, $2, 'ring_tap')", one, other)
    meeting = await connection.fetchval("SELECT uuidv7()")
    for side, one in enumerate((ada, grace), start=1):
        await connection.execute(
            """INSERT INTO touches (user_id, meeting_id, side, expires_at)
            VALUES ($1, $2, $3, now())""",
            one,
            meeting,
            side,
        )
    await connection.execute(
        "INSERT INTO touches (user_id, side, expires_at) VALUES ($1, 1, now())", eve
    )
    await connection.execute(
        """INSERT INTO consumer_tasks (event_id, occurred_at, consumer)
        SELECT id, occurred_at, 'test' FROM events"""
    )
    await connection.execute(
        """INSERT INTO data_keys (id, scope, number, wrapped, wrapped_by, seals_from)
        VALUES (1, 'people', 1, '', 'ring:1', now())"""
    )
    ada, grace, eve = people
    for one, other in ((ada, grace), (eve, None)):
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(one))
            conversation = await connection.fetchval(
                "INSERT INTO conversations (kind) VALUES ('group') RETURNING id"
            )
            for member in filter(None, (one, other)):
                await connection.execute(
                    "INSERT INTO conversation_members (conversation_id, user_id) VALUES ($1, $2)",
                    conversation,
                    member,
                )
                await connection.execute(
                    """INSERT INTO messages (conversation_id, sender_id, body)
                    VALUES ($1, $2, 'hello')""",
                    conversation,
                    member,
                )
    return ada, grace, eve


async def _add_imports(connection: asyncpg.Connection) -> None:
    """Let the actor have handed in a file, of which an entry was read."""
    await connection.execute(
        """WITH job AS (
          INSERT INTO import_jobs (format, file_bytes) VALUES ('vcard', 1) RETURNING id
        ), piece AS (
          INSERT INTO import_chunks (import_id, position, content) SELECT id, 0, '' FROM job
        )
        INSERT INTO import_rows (import_id, position, status) SELECT id, 1, 'failed' FROM job"""
    )


async def _add_goals(connection: asyncpg.Connection) -> None:
    """Give the actor a goal, and all that the hub makes of goals."""
    contact = await connection.fetchval(
        "SELECT id FROM contacts WHERE user_id = app.user_id() AND NOT is_self LIMIT 1"
    )
    for statement in (
        "INSERT INTO connection_goals (contact_id, kind, intention) VALUES ($1, 'job', 'Work')",
        """INSERT INTO reminders (contact_id, title, timezone, first_local, due_at)
        VALUES ($1, 'Call', 'UTC', '2026-11-21T09:00:00', '2026-11-21')""",
        """WITH path AS (
          INSERT INTO connection_paths (target_contact_id, length, confidence)
          VALUES ($1, 1, 1) RETURNING id
        )
        INSERT INTO connection_path_steps (path_id, position, contact_id, strength)
        SELECT id, 1, $1, 1 FROM path""",
        """WITH insight AS (
          INSERT INTO insights (kind, title, content, actionable, reason)
          VALUES ('anomaly', 'Quiet', 'It is quiet.', true, 'silence') RETURNING id
        )
        INSERT INTO insight_contacts (insight_id, contact_id) SELECT id, $1 FROM insight""",
    ):
        await connection.execute(statement, contact)
    for statement in (
        """INSERT INTO goal_tag_links (goal_id, tag_id)
        SELECT g.id, t.id FROM connection_goals AS g CROSS JOIN goal_tags AS t
        WHERE g.user_id = app.user_id() AND t.name = 'career'""",
        """INSERT INTO path_searches (digest, steps, people, seen)
        VALUES (sha256('asked'), '[]', '{}', pg_current_snapshot())""",
        "INSERT INTO graph_changes (user_id) VALUES (app.user_id()) ON CONFLICT DO NOTHING",
        "INSERT INTO insight_weeks VALUES (app.user_id(), '2026-11-16')",
        """WITH met AS (
          INSERT INTO interactions (kind, occurred_at) VALUES ('manual', now()) RETURNING id
        )
        INSERT INTO evidence (subject_type, subject_id, interaction_id)
        SELECT 'insight', i.id, met.id FROM insights AS i CROSS JOIN met
        WHERE i.user_id = app.user_id()""",
        """INSERT INTO streaks (kind, started_on, length, max_length, last_event_at)
        VALUES ('login', '2026-11-21', 1, 1, now())""",
        """INSERT INTO achievement_progress (
          achievement_id, current_value, target_value, last_increment_at
        )
        SELECT id, 1, 2, now() FROM achievements WHERE code = 'first_tap'""",
        """INSERT INTO achievement_increments (event_id, achievement_id, user_id)
        SELECT uuidv7(), id, app.user_id() FROM achievements WHERE code = 'first_tap'""",
    ):
        await connection.execute(statement)


async def _add_contacts(connection: asyncpg.Connection, name: str) -> None:
    """Put three contacts into the actor's address book, of whom two are one."""
    kept, other, merged = [
        await connection.fetchval(
            "INSERT INTO contacts (full_name) VALUES ($1) RETURNING id", f"{who} of {name}"
        )
        for who in ("Kept", "Other", "Merged")
    ]
    await connection.execute(
        """INSERT INTO contact_methods (contact_id, kind, value, value_hash)
        VALUES ($1, 'email', '', $2)""",
        kept,
        name.encode(),
    )
    await connection.execute(
        "INSERT INTO interests (contact_id, category, topic) VALUES ($1, 'sport', 'chess')", kept
    )
    await connection.execute(
        "INSERT INTO contact_links (contact_a_id, contact_b_id, kind) VALUES ($1, $2, 'friend')",
        *sorted((kept, other)),
    )
    await connection.execute(
        "INSERT INTO contact_distinctions (contact_a_id, contact_b_id) VALUES ($1, $2)",
        *sorted((kept, other)),
    )
    await connection.execute(
        "INSERT INTO contact_merges (kept_id, merged_id, record) VALUES ($1, $2, '{}')",
        kept,
        merged,
    )
    await connection.execute(
        """WITH met AS (
          INSERT INTO interactions (contact_id, kind, subject, occurred_at)
          VALUES ($1, 'meeting', $3, now())
          RETURNING id
        )
        INSERT INTO interaction_participants (interaction_id, contact_id, role)
        SELECT id, $2, 'attendee' FROM met""",
        kept,
        other,
        f"Coffee of {name}",
    )
    await connection.execute(
        """WITH met AS (
          INSERT INTO interactions (contact_id, kind, occurred_at, is_private)
          VALUES ($1, 'meeting', now(), true)
          RETURNING id
        )
        INSERT INTO interaction_participants (interaction_id, contact_id, role)
        SELECT id, $2, 'attendee' FROM met""",
        kept,
        other,
    )
    await connection.execute(
        """WITH circle AS (
          INSERT INTO circles (name, tier, cadence_days) VALUES ('Close', 1, 7) RETURNING id
        )
        INSERT INTO circle_members (circle_id, contact_id) SELECT id, $1 FROM circle""",
        kept,
    )
    await connection.execute(
        """WITH kind AS (
          INSERT INTO relationship_types (name, display_name, scoring_weights)
          SELECT 'mentor', 'Mentor', scoring_weights FROM relationship_types WHERE name = 'family'
          RETURNING id, owner_id
        )
        INSERT INTO contact_relationship_types (contact_id, type_owner_id, relationship_type_id)
        SELECT $1, owner_id, id FROM kind""",
        kept,
    )
    await connection.execute(
        """INSERT INTO relationship_health (
          contact_id, score, strength, band, trend, components, next_touch_at, band_since,
          baseline, told_score, computed_at
        )
        VALUES ($1, 50, 0.5, 'stable', 'steady', '{}', now(), now(), 50, 50, now())""",
        kept,
    )
    await connection.execute(
        "INSERT INTO health_snapshots (contact_id, taken_on, score) VALUES ($1, '2026-11-21', 50)",
        kept,
    )
    await connection.execute(
        "INSERT INTO nudges (contact_id, kind, occasion) VALUES ($1, 'birthday', '2026')", kept
    )
    await connection.execute("INSERT INTO nudge_mornings VALUES (app.user_id(), '2026-11-21')")


OWNER = {"users": "id", "messages": "sender_id"}
"""Owner columns that are not `user_id`."""


async def tables_of(connection: asyncpg.Connection) -> list[str]:
    """Return all tables of the hub; partitions stand behind their parent."""
    rows = await connection.fetch(
        """SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace ORDER BY relname"""
    )
    return [row["relname"] for row in rows]


MINE = "(SELECT conversation_id FROM conversation_members WHERE user_id = $1)"
MET = f"""user_id IN (
  SELECT friend_id FROM friendships WHERE user_id = $1
  UNION SELECT user_id FROM conversation_members WHERE conversation_id IN {MINE}
)"""
SHARED = {
    # What the hub and administrators did with one's rows.
    "audit_log": "owner_id = $1 AND actor_kind NOT IN ('user', 'api_key')",
    "profiles": MET,
    "ring_taps": "partner_user_id = $1",
    "rejected_taps": "gateway_id IN (SELECT id FROM gateways WHERE user_id = $1)",
    "friendships": "friend_id = $1",
    "touches": "meeting_id IN (SELECT meeting_id FROM touches WHERE user_id = $1)",
    "conversations": f"id IN {MINE}",
    "conversation_members": f"conversation_id IN {MINE}",
    "messages": f"conversation_id IN {MINE}",
    "relationship_types": "user_id IS NULL",
}
"""Which rows of others a user has to do with."""


async def relations(
    connection: asyncpg.Connection, table: str, viewer: UUID
) -> dict[str, list[str]]:
    """Return the rows' places by what they are to the viewer."""
    columns = {
        row["attname"]
        for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0", table
        )
    }
    found: dict[str, list[str]] = {}
    owner = OWNER.get(table, "user_id")
    own = f"{owner} = $1" if owner in columns else "false"
    private = f"{own} AND is_private" if "is_private" in columns else "false"
    for row in await connection.fetch(
        f"""SELECT tableoid::text || ':' || ctid::text AS place,
        CASE WHEN {private} THEN 'private' WHEN {own} THEN 'own'
          WHEN {SHARED.get(table, "false")} THEN 'shared' ELSE 'foreign' END AS relation
        FROM {table} WHERE $1::uuid IS NOT NULL""",
        viewer,
    ):
        found.setdefault(row["relation"], []).append(row["place"])
    return found


def login_of(database: Database, role: str) -> str:
    """Return the address for a role; ping_admin is entered from the interface's login."""
    login = "ping_api" if role == "ping_admin" else role
    return getattr(database, login.replace("ping_", "") + "_url")
