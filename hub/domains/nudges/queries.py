"""SQL of nudges: found for many users at once, each kind with one statement."""

from core.db import command, query
from hub.domains.nudges.schemas import Morning, NudgeRow

list_nudges = query(
    NudgeRow,
    """
    SELECT n.id, n.contact_id, c.full_name, n.kind, n.status, n.created_at, n.closed_at
    FROM nudges AS n
    JOIN contacts AS c ON c.user_id = n.user_id AND c.id = n.contact_id
    WHERE n.user_id = app.user_id()
        AND c.archived_at IS NULL
        AND n.status = $1
        AND ($2::text IS NULL OR n.kind = $2::text)
        AND ($3::uuid IS NULL OR n.id < $3::uuid)
    ORDER BY n.id DESC
    LIMIT $4
    """,
)

find_nudge = query(
    NudgeRow,
    """
    SELECT n.id, n.contact_id, c.full_name, n.kind, n.status, n.created_at, n.closed_at
    FROM nudges AS n
    JOIN contacts AS c ON c.user_id = n.user_id AND c.id = n.contact_id
    WHERE n.user_id = app.user_id() AND n.id = $1
    """,
)

close_nudge = command(
    """
    UPDATE nudges
    SET status = $2, closed_at = coalesce(closed_at, now())
    WHERE user_id = app.user_id() AND id = $1 AND status <> $2
    """
)

# A time zone that PostgreSQL does not know would fail for everybody: such a user's is UTC.
take_mornings = query(
    Morning,
    """
    WITH zones AS MATERIALIZED (
        SELECT name FROM pg_timezone_names
    ),
    here AS (
        SELECT u.id AS user_id, coalesce(z.name, 'UTC') AS zone
        FROM users AS u
        LEFT JOIN zones AS z ON z.name = u.timezone
        WHERE u.kind = 'person' AND u.deleted_at IS NULL
    ),
    due AS (
        SELECT h.user_id, h.zone, ($1::timestamptz AT TIME ZONE h.zone)::date AS day
        FROM here AS h
        LEFT JOIN nudge_mornings AS m ON m.user_id = h.user_id
        WHERE extract(HOUR FROM $1::timestamptz AT TIME ZONE h.zone) >= $2
            AND (
                m.looked_on IS NULL
                OR m.looked_on < ($1::timestamptz AT TIME ZONE h.zone)::date
            )
        ORDER BY h.user_id
        LIMIT $3
    ),
    taken AS (
        INSERT INTO nudge_mornings AS m (user_id, looked_on)
        SELECT due.user_id, due.day
        FROM due
        ON CONFLICT (user_id) DO UPDATE
        SET looked_on = excluded.looked_on
        WHERE m.looked_on < excluded.looked_on
        RETURNING m.user_id
    )
    SELECT due.user_id, due.day, (due.day + 1)::timestamp AT TIME ZONE due.zone AS ends_at
    FROM due
    JOIN taken ON taken.user_id = due.user_id
    ORDER BY due.user_id
    """,
    login="system",
)

# Only whom contact is wanted with, the closest: an import of letters is no wish. They come last, as
# the last one stands first in the list.
add_of_health = command(
    """
    INSERT INTO nudges (user_id, contact_id, kind, occasion)
    SELECT chosen.user_id, chosen.contact_id, chosen.kind, chosen.occasion
    FROM (
        SELECT found.user_id, found.contact_id, found.kind, found.occasion,
            row_number() OVER (
                PARTITION BY found.user_id, found.kind
                ORDER BY found.strength DESC, found.contact_id
            ) AS place
        FROM (
            SELECT h.user_id, h.contact_id, h.strength, 'follow_up' AS kind,
                (h.next_touch_at AT TIME ZONE 'UTC')::date::text AS occasion
            FROM unnest($1::uuid[], $2::timestamptz[]) AS l (user_id, ends_at)
            JOIN relationship_health AS h
                ON h.user_id = l.user_id
                AND h.next_touch_at < l.ends_at
                AND h.next_touch_at > l.ends_at - interval '8 days'
            UNION ALL
            SELECT h.user_id, h.contact_id, h.strength, 'going_cold',
                (h.fell_at AT TIME ZONE 'UTC')::date::text
            FROM unnest($1::uuid[]) AS l (user_id)
            JOIN relationship_health AS h
                ON h.user_id = l.user_id
                AND h.fell_at > $3::timestamptz - interval '30 days'
                AND h.band IN ('cooling', 'cold')
        ) AS found
        JOIN contacts AS c
            ON c.user_id = found.user_id
            AND c.id = found.contact_id
            AND c.archived_at IS NULL
        WHERE (
                c.frequency IS NOT NULL
                OR EXISTS (
                    SELECT FROM circle_members AS m
                    WHERE m.user_id = found.user_id AND m.contact_id = found.contact_id
                )
            )
            AND NOT EXISTS (
                SELECT FROM nudges AS n
                WHERE n.user_id = found.user_id
                    AND n.contact_id = found.contact_id
                    AND n.kind = found.kind
                    AND n.occasion = found.occasion
            )
    ) AS chosen
    WHERE chosen.place <= $4
    ORDER BY chosen.kind, chosen.place DESC
    ON CONFLICT (user_id, contact_id, kind, occasion) DO NOTHING
    """,
    login="system",
)

# The days and months as numerics, as the index has them.
add_birthdays = command(
    """
    INSERT INTO nudges (user_id, contact_id, kind, occasion)
    SELECT l.user_id, c.id, 'birthday', extract(YEAR FROM $2::date)::text
    FROM unnest($1::uuid[]) AS l (user_id)
    JOIN contacts AS c
        ON c.user_id = l.user_id
        AND extract(MONTH FROM c.birthday) = extract(MONTH FROM $2::date)
        AND extract(DAY FROM c.birthday) = ANY($3::numeric[])
        AND c.birthday IS NOT NULL
        AND c.archived_at IS NULL
        AND NOT c.is_self
    ON CONFLICT (user_id, contact_id, kind, occasion) DO NOTHING
    """,
    login="system",
)

add_job_changes = command(
    """
    INSERT INTO nudges (user_id, contact_id, kind, occasion)
    SELECT l.user_id, c.id, 'job_change', e.id::text
    FROM unnest($1::uuid[]) AS l (user_id)
    JOIN events AS e
        ON e.user_id = l.user_id
        AND e.type = 'contact.job_changed'
        AND e.occurred_at > $2::timestamptz - interval '7 days'
    JOIN contacts AS c
        ON c.user_id = e.user_id
        AND c.id = (e.payload ->> 'contact_id')::uuid
        AND c.archived_at IS NULL
    ON CONFLICT (user_id, contact_id, kind, occasion) DO NOTHING
    """,
    login="system",
)

# In bounded transactions; no occasion comes again after so long.
forget_nudges = command(
    """
    DELETE FROM nudges
    WHERE id IN (
        SELECT id
        FROM nudges
        WHERE created_at < $1::timestamptz - make_interval(days => $2)
        ORDER BY created_at
        LIMIT $3
    )
    """,
    login="system",
)
