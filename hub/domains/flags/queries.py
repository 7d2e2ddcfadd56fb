"""SQL of feature flags: what everybody's processes keep, and what administrators write."""

from typing import Final

from core.db import command, query
from hub.domains.flags.schemas import Cohort, CohortMember, Flag, Rule, Subject

# A definer function, the same for every actor: users may not read the table.
read_rules = query(
    Rule, "SELECT key, enabled, percentage, cohorts, tiers, roles FROM app.read_flags()"
)

find_subject = query(
    Subject,
    """
    SELECT u.role, u.subscription_tier AS tier,
        ARRAY(
            SELECT m.cohort FROM cohort_members AS m WHERE m.user_id = u.id ORDER BY m.cohort
        ) AS cohorts
    FROM users AS u
    WHERE u.id = $1 AND u.deleted_at IS NULL
    """,
)

# Until the end of the transaction: a flag names cohorts that exist, and their number is limited.
lock_flags = command(
    "SELECT pg_advisory_xact_lock(hashtextextended('feature_flags', 13))", login="system"
)

_FLAG_COLUMNS: Final = "key, enabled, percentage, cohorts, description, created_at, updated_at"

list_flags = query(
    Flag,
    """
    SELECT {columns}
    FROM feature_flags
    WHERE $1::text IS NULL OR key > $1::text
    ORDER BY key
    LIMIT $2
    """,
    columns=_FLAG_COLUMNS,
    login="system",
)

find_flag = query(
    Flag,
    """
    SELECT {columns}
    FROM feature_flags
    WHERE key = $1
    """,
    columns=_FLAG_COLUMNS,
    login="system",
)

count_flags = query(int, "SELECT count(*) FROM feature_flags", login="system")

# Nothing where nothing changes: nobody is told, and nothing is audited.
put_flag = command(
    """
    INSERT INTO feature_flags AS f (key, enabled, percentage, cohorts, description)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key) DO UPDATE
    SET enabled = excluded.enabled, percentage = excluded.percentage, cohorts = excluded.cohorts,
        description = excluded.description
    WHERE (f.enabled, f.percentage, f.cohorts, f.description) IS DISTINCT FROM
        (excluded.enabled, excluded.percentage, excluded.cohorts, excluded.description)
    """,
    login="system",
)

remove_flag = command("DELETE FROM feature_flags WHERE key = $1", login="system")

_COHORT_COLUMNS: Final = "name, tiers, roles, description, created_at, updated_at"

list_cohorts = query(
    Cohort,
    """
    SELECT {columns}
    FROM cohorts
    WHERE $1::text IS NULL OR name > $1::text
    ORDER BY name
    LIMIT $2
    """,
    columns=_COHORT_COLUMNS,
    login="system",
)

find_cohort = query(
    Cohort,
    """
    SELECT {columns}
    FROM cohorts
    WHERE name = $1
    """,
    columns=_COHORT_COLUMNS,
    login="system",
)

count_cohorts = query(int, "SELECT count(*) FROM cohorts", login="system")

find_unknown_cohort = query(
    str,
    """
    SELECT wanted.name
    FROM unnest($1::text[]) AS wanted (name)
    WHERE NOT EXISTS (SELECT FROM cohorts AS c WHERE c.name = wanted.name)
    ORDER BY wanted.name
    LIMIT 1
    """,
    login="system",
)

find_flag_of_cohort = query(
    str,
    "SELECT key FROM feature_flags WHERE $1::text = ANY (cohorts) ORDER BY key LIMIT 1",
    login="system",
)

put_cohort = command(
    """
    INSERT INTO cohorts AS c (name, tiers, roles, description)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE
    SET tiers = excluded.tiers, roles = excluded.roles, description = excluded.description
    WHERE (c.tiers, c.roles, c.description) IS DISTINCT FROM
        (excluded.tiers, excluded.roles, excluded.description)
    """,
    login="system",
)

remove_cohort = command("DELETE FROM cohorts WHERE name = $1", login="system")

list_members = query(
    CohortMember,
    """
    SELECT user_id, created_at
    FROM cohort_members
    WHERE cohort = $1 AND ($2::uuid IS NULL OR user_id > $2::uuid)
    ORDER BY user_id
    LIMIT $3
    """,
    login="system",
)

has_account = query(
    bool,
    "SELECT EXISTS (SELECT FROM users WHERE id = $1 AND deleted_at IS NULL)",
    login="system",
)

add_member = command(
    """
    INSERT INTO cohort_members (cohort, user_id)
    VALUES ($1, $2)
    ON CONFLICT (cohort, user_id) DO NOTHING
    """,
    login="system",
)

remove_member = command(
    "DELETE FROM cohort_members WHERE cohort = $1 AND user_id = $2", login="system"
)
