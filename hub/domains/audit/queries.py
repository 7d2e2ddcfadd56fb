"""SQL of the audit log; which entries a login sees is said by policy."""

from core.db import command, query
from hub.domains.audit.schemas import StoredEntry, StoredOwnEntry

# For any login: the author is whoever the transaction acts for.
note_reading = command("SELECT app.audit_view($1, $2, $3, $4, $5::jsonb)")

# A plan for all filters would serve none: with a plan for these, each absent one is gone from it.
plan_for_these = command("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")

search = query(
    StoredEntry,
    """
    SELECT
        id, at, user_id AS actor_id, actor_kind, actor_role, action, resource_type, resource_id,
        owner_id, old_values, new_values, host(ip) AS ip, user_agent, endpoint, request_id
    FROM audit_log
    WHERE ($1::uuid IS NULL OR user_id = $1::uuid)
        AND ($2::uuid IS NULL OR owner_id = $2::uuid)
        AND ($3::text IS NULL OR action = $3::text)
        AND ($4::text IS NULL OR resource_type = $4::text)
        AND ($5::text IS NULL OR resource_id = $5::text)
        AND ($6::text IS NULL OR request_id = $6::text)
        AND ($7::timestamptz IS NULL OR at >= $7::timestamptz)
        AND ($8::timestamptz IS NULL OR at < $8::timestamptz)
        AND ($9::timestamptz IS NULL OR (at, id) < ($9::timestamptz, $10::uuid))
    ORDER BY at DESC, id DESC
    LIMIT $11
    """,
)

# Two branches, each in the order of its index: one condition with OR is read and sorted whole.
# What the hub does may follow from somebody else's request, of which one is told nothing.
list_own = query(
    StoredOwnEntry,
    """
    SELECT
        id, at,
        CASE
            WHEN is_own THEN 'me'
            WHEN actor_role IN ('moderator', 'admin') THEN 'administrator'
            ELSE 'hub'
        END AS by,
        actor_kind, action, resource_type, resource_id, old_values, new_values,
        CASE WHEN is_own THEN host(ip) END AS ip,
        CASE WHEN is_own THEN user_agent END AS user_agent,
        CASE WHEN is_own OR actor_role IN ('moderator', 'admin') THEN endpoint END AS endpoint,
        CASE WHEN is_own THEN request_id END AS request_id
    FROM (
        (
            SELECT
                a.id, a.at, a.actor_kind, a.actor_role, a.action, a.resource_type, a.resource_id,
                a.old_values, a.new_values, a.ip, a.user_agent, a.endpoint, a.request_id,
                true AS is_own
            FROM audit_log AS a
            WHERE a.user_id = app.user_id()
                AND ($1::timestamptz IS NULL OR (a.at, a.id) < ($1::timestamptz, $2::uuid))
            ORDER BY a.at DESC, a.id DESC
            LIMIT $3
        )
        UNION ALL
        (
            SELECT
                a.id, a.at, a.actor_kind, a.actor_role, a.action, a.resource_type, a.resource_id,
                a.old_values, a.new_values, a.ip, a.user_agent, a.endpoint, a.request_id,
                false AS is_own
            FROM audit_log AS a
            WHERE a.owner_id = app.user_id()
                AND a.user_id IS DISTINCT FROM app.user_id()
                AND ($1::timestamptz IS NULL OR (a.at, a.id) < ($1::timestamptz, $2::uuid))
            ORDER BY a.at DESC, a.id DESC
            LIMIT $3
        )
    ) AS concerning
    ORDER BY at DESC, id DESC
    LIMIT $3
    """,
)
