"""SQL of insights: what their owner sees, and for the hub the facts of one user at a time."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.insights.schemas import (
    ActiveGoal,
    FirstHop,
    Insight,
    Meeting,
    Profile,
    Rhythm,
    SharedInterest,
)

_SHOWN_COLUMNS: Final = """i.id, i.kind, i.title, i.content, i.actionable,
        ARRAY(
            SELECT c.contact_id
            FROM insight_contacts AS c
            WHERE c.insight_id = i.id
            ORDER BY c.contact_id
        ) AS contact_ids,
        i.goal_id,
        ARRAY(
            SELECT t.id
            FROM evidence AS e
            JOIN interactions AS t ON t.user_id = e.user_id AND t.id = e.interaction_id
            WHERE e.subject_type = 'insight' AND e.subject_id = i.id
            ORDER BY t.occurred_at DESC, t.id DESC
        ) AS interaction_ids,
        i.dismissed_at, i.acted_on_at, i.created_at"""

# What serves a goal is no news once that is achieved or given up.
list_insights = query(
    Insight,
    """
    SELECT {columns}
    FROM insights AS i
    WHERE i.user_id = app.user_id()
        AND i.dismissed_at IS NULL
        AND ($1::uuid IS NULL OR i.id < $1::uuid)
        AND ($2::text IS NULL OR i.kind = $2::text)
        AND (
            i.goal_id IS NULL
            OR EXISTS (
                SELECT FROM connection_goals AS g
                WHERE g.user_id = i.user_id AND g.id = i.goal_id AND g.status = 'active'
            )
        )
    ORDER BY i.id DESC
    LIMIT $3
    """,
    columns=_SHOWN_COLUMNS,
)

find_insight = query(
    Insight, "SELECT {columns} FROM insights AS i WHERE i.id = $1", columns=_SHOWN_COLUMNS
)

# The first word stands.
dismiss = command("UPDATE insights SET dismissed_at = $2 WHERE id = $1 AND dismissed_at IS NULL")

act_on = command("UPDATE insights SET acted_on_at = $2 WHERE id = $1 AND acted_on_at IS NULL")

list_shared_interests = query(
    SharedInterest,
    """
    SELECT
        min(i.topic) AS topic,
        array_agg(c.id ORDER BY c.strength DESC, c.id) AS contact_ids,
        array_agg(c.full_name ORDER BY c.strength DESC, c.id) AS names
    FROM (
        SELECT DISTINCT contact_id, lower(topic) AS same, min(topic) AS topic
        FROM interests
        WHERE user_id = $1
            AND confidence >= 0.5
            AND ($3::text[] IS NULL OR lower(topic) = ANY($3::text[]))
        GROUP BY contact_id, lower(topic)
    ) AS i
    JOIN contacts AS c
        ON c.user_id = $1 AND c.id = i.contact_id AND c.archived_at IS NULL AND NOT c.is_self
    GROUP BY i.same
    -- What everybody cares about brings nobody together.
    HAVING count(*) BETWEEN 2 AND 8
        -- One who cares no more is no news.
        AND NOT EXISTS (
            SELECT FROM insights AS n
            WHERE n.user_id = $1
                AND n.kind = 'common_interest'
                AND starts_with(n.reason, 'interest:' || i.same || ':')
                AND array_agg(c.id) <@ ARRAY(
                    SELECT o.contact_id FROM insight_contacts AS o WHERE o.insight_id = n.id
                )
        )
    ORDER BY max(c.strength) DESC, i.same
    LIMIT $2
    """,
    login="system",
)

_GOAL_COLUMNS: Final = (
    "g.id, g.kind, g.intention, g.contact_id, c.full_name AS contact_name, c.strength"
)

list_goals = query(
    ActiveGoal,
    """
    SELECT {columns}
    FROM connection_goals AS g
    LEFT JOIN contacts AS c
        ON c.user_id = g.user_id AND c.id = g.contact_id AND c.archived_at IS NULL
    WHERE g.user_id = $1 AND g.status = 'active' AND ($2::uuid IS NULL OR g.id = $2::uuid)
    ORDER BY g.id DESC
    LIMIT $3
    """,
    login="system",
    columns=_GOAL_COLUMNS,
)

list_profiles = query(
    Profile,
    """
    SELECT c.id, c.full_name AS name, c.company, c.job_title,
        ARRAY(
            SELECT i.topic
            FROM interests AS i
            WHERE i.user_id = c.user_id AND i.contact_id = c.id AND i.confidence >= 0.5
            ORDER BY i.confidence DESC, i.topic
            LIMIT 10
        ) AS topics
    FROM contacts AS c
    WHERE c.user_id = $1
        AND c.archived_at IS NULL
        AND NOT c.is_self
        AND ($3::uuid IS NULL OR c.id = $3::uuid)
    ORDER BY c.strength DESC, c.id DESC
    LIMIT $2
    """,
    login="system",
)

list_rhythms = query(
    Rhythm,
    """
    SELECT c.id AS contact_id, c.full_name AS name, r.gap_days, r.last_at, r.last_interaction_id
    FROM (
        SELECT
            g.contact_id,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY g.gap_days) AS gap_days,
            max(g.occurred_at) AS last_at,
            (array_agg(g.interaction_id ORDER BY g.occurred_at DESC, g.interaction_id DESC))[1]
                AS last_interaction_id
        FROM (
            SELECT i.contact_id, i.interaction_id, i.occurred_at,
                extract(
                    epoch FROM i.occurred_at - lag(i.occurred_at) OVER (
                        PARTITION BY i.contact_id ORDER BY i.occurred_at, i.interaction_id
                    )
                )::float8 / 86400 AS gap_days
            FROM app.contacts_met() AS i
            WHERE i.user_id = $1
                AND NOT i.is_private -- API keys read insights, and nothing private
                AND i.occurred_at BETWEEN $2::timestamptz - interval '1 year' AND $2::timestamptz
        ) AS g
        GROUP BY g.contact_id
        -- Fewer show no rhythm.
        HAVING count(*) >= 4
    ) AS r
    JOIN contacts AS c
        ON c.user_id = $1 AND c.id = r.contact_id AND c.archived_at IS NULL AND NOT c.is_self
    ORDER BY r.last_at, c.id
    """,
    login="system",
)

# The latest ones; what was long ago is no rhythm any more.
list_meetings = query(
    Meeting,
    """
    SELECT interaction_id AS id, occurred_at
    FROM app.contacts_met()
    WHERE user_id = $1
        AND contact_id = $2
        AND NOT is_private
        AND occurred_at BETWEEN $3::timestamptz - interval '1 year' AND $3::timestamptz
    ORDER BY occurred_at DESC, interaction_id DESC
    LIMIT $4
    """,
    login="system",
)

list_led_to = query(
    ActiveGoal,
    """
    SELECT {columns}
    FROM (
        SELECT l.contact_b_id AS contact_id
        FROM contact_links AS l
        WHERE l.user_id = $1 AND l.contact_a_id = $2 AND l.strength >= 0.1
        UNION
        SELECT l.contact_a_id
        FROM contact_links AS l
        WHERE l.user_id = $1 AND l.contact_b_id = $2 AND l.strength >= 0.1
    ) AS near
    JOIN connection_goals AS g
        ON g.user_id = $1 AND g.contact_id = near.contact_id AND g.status = 'active'
    JOIN contacts AS c
        ON c.user_id = $1 AND c.id = g.contact_id AND c.archived_at IS NULL AND NOT c.is_self
    ORDER BY g.id DESC
    LIMIT $3
    """,
    login="system",
    columns=_GOAL_COLUMNS,
)

count_since = query(
    int, "SELECT count(*) FROM insights WHERE user_id = $1 AND created_at > $2", login="system"
)

list_reasons = query(str, "SELECT reason FROM insights WHERE user_id = $1", login="system")

# Only over whom the user has in their address book: of others they may not even know the name.
find_way = query(
    FirstHop,
    """
    SELECT c.id, c.full_name AS name, w.hops
    FROM (
        SELECT p.contact_id, p.position, count(*) OVER ()::int AS hops
        FROM app.shortest_path_of($1, ARRAY[$2::uuid], $3) AS p
    ) AS w
    JOIN contacts AS c ON c.user_id = $1 AND c.id = w.contact_id
    WHERE w.position = 1
    """,
    login="system",
)

add_insight = query(
    UUID,
    """
    INSERT INTO insights (user_id, kind, reason, title, content, goal_id, actionable)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (user_id, reason) DO NOTHING
    RETURNING id
    """,
    login="system",
)

# Of contacts that are still there.
add_contacts = command(
    """
    INSERT INTO insight_contacts (user_id, insight_id, contact_id)
    SELECT c.user_id, $2, c.id
    FROM contacts AS c
    WHERE c.user_id = $1 AND c.id = ANY($3::uuid[])
    ON CONFLICT (insight_id, contact_id) DO NOTHING
    """,
    login="system",
)

add_evidence = command(
    """
    INSERT INTO evidence (user_id, subject_type, subject_id, interaction_id)
    SELECT i.user_id, 'insight', $2::uuid, i.id
    FROM interactions AS i
    WHERE i.user_id = $1 AND i.id = ANY($3::uuid[])
    ON CONFLICT (subject_type, subject_id, interaction_id) DO NOTHING
    """,
    login="system",
)

list_time_zones = query(
    str,
    "SELECT DISTINCT timezone FROM users WHERE deleted_at IS NULL AND kind = 'person'",
    login="system",
)

# Whoever is taken here by one worker is taken by no other: the row says which week was had.
take_users = query(
    UUID,
    """
    INSERT INTO insight_weeks AS w (user_id, week)
    SELECT u.id, z.week
    FROM users AS u
    JOIN unnest($1::text[], $2::date[]) AS z (timezone, week) ON z.timezone = u.timezone
    LEFT JOIN insight_weeks AS h ON h.user_id = u.id
    WHERE u.deleted_at IS NULL AND u.kind = 'person' AND (h.week IS NULL OR h.week < z.week)
    ORDER BY u.id
    LIMIT $3
    ON CONFLICT (user_id) DO UPDATE SET week = excluded.week WHERE w.week < excluded.week
    RETURNING user_id
    """,
    login="system",
)
