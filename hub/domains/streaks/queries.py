"""SQL of streaks; counted by the hub, shown to their owner."""

from core.db import command, query
from hub.domains.streaks.schemas import Activity, OpenStreak, StoredStreak

list_latest = query(
    StoredStreak,
    """
    SELECT kind, started_on, length, max_length, last_event_at
    FROM streaks
    WHERE user_id = app.user_id() AND ended_on IS NULL
    ORDER BY kind
    """,
)

# Serialises all that count a user's days, also where there is no row to lock yet.
lock_streaks = command(
    "SELECT pg_advisory_xact_lock(hashtextextended('streaks:' || $1::uuid::text, 17))",
    login="system",
)

find_time_zone = query(
    str, "SELECT timezone FROM users WHERE id = $1 AND deleted_at IS NULL", login="system"
)

find_open = query(
    OpenStreak,
    """
    SELECT id, started_on, length, max_length, last_event_at
    FROM streaks
    WHERE user_id = $1 AND kind = $2 AND ended_on IS NULL
    """,
    login="system",
)

prolong = command(
    """
    UPDATE streaks
    SET length = length + 1, max_length = greatest(max_length, length + 1), last_event_at = $2
    WHERE id = $1
    """,
    login="system",
)

# A day before the first one, and the days before that if they were a streak, which is no longer one
# of its own.
precede = command(
    """
    WITH joined AS (
        DELETE FROM streaks
        WHERE user_id = $2 AND kind = $3 AND ended_on = $4::date - 1
        RETURNING length
    ),
    counted AS (SELECT 1 + coalesce(sum(length), 0)::int AS days FROM joined)
    UPDATE streaks AS s
    SET started_on = s.started_on - c.days,
        length = s.length + c.days,
        max_length = greatest(s.max_length, s.length + c.days)
    FROM counted AS c
    WHERE s.id = $1
    """,
    login="system",
)

touch = command("UPDATE streaks SET last_event_at = $2 WHERE id = $1", login="system")

end = command("UPDATE streaks SET ended_on = $2 WHERE id = $1", login="system")

begin = command(
    """
    INSERT INTO streaks (user_id, kind, started_on, length, max_length, last_event_at)
    VALUES ($1, $2, $3, 1, $4, $5)
    """,
    login="system",
)

list_time_zones = query(
    str,
    """
    SELECT DISTINCT u.timezone
    FROM streaks AS k
    JOIN users AS u ON u.id = k.user_id AND u.deleted_at IS NULL
    -- Whichever day it is where the user is.
    WHERE k.ended_on IS NULL AND k.started_on + k.length BETWEEN $1::date - 1 AND $1::date + 1
    """,
    login="system",
)

# What another worker has locked it tells of; the trigger of `at_risk_on` writes the events. Visits
# of the last minutes may not have been counted yet.
warn = command(
    """
    UPDATE streaks AS s
    SET at_risk_on = r.day
    FROM (
        SELECT k.id, z.day
        FROM unnest($1::text[], $2::date[], $3::timestamptz[]) AS z (timezone, day, midnight)
        JOIN streaks AS k ON k.started_on + k.length = z.day
        JOIN users AS u
            ON u.id = k.user_id AND u.timezone = z.timezone AND u.deleted_at IS NULL
        WHERE k.ended_on IS NULL
            AND k.length >= $4
            AND k.at_risk_on IS DISTINCT FROM z.day
            AND NOT (
                k.kind = 'login'
                AND EXISTS (
                    SELECT FROM sessions AS v
                    WHERE v.user_id = k.user_id AND v.created_at >= z.midnight
                )
            )
        ORDER BY k.id
        LIMIT $5
        FOR UPDATE OF k SKIP LOCKED
    ) AS r
    WHERE s.id = r.id
    """,
    login="system",
)

# Apps that are open exchange their token several times an hour, so the sessions tell who was here.
list_visits = query(
    Activity,
    """
    SELECT s.user_id, max(s.created_at) AS at
    FROM sessions AS s
    JOIN users AS u ON u.id = s.user_id AND u.deleted_at IS NULL
    LEFT JOIN streaks AS k
        ON k.user_id = s.user_id AND k.kind = 'login' AND k.ended_on IS NULL
    WHERE s.created_at > $1 AND (k.id IS NULL OR s.created_at > k.last_event_at)
    -- Midnights of all time zones are at a quarter of an hour.
    GROUP BY s.user_id, date_bin('15 minutes', s.created_at, '2000-01-01 00:00:00+00')
    ORDER BY at, s.user_id
    LIMIT $2
    """,
    login="system",
)
