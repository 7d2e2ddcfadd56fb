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

touch = command("UPDATE streaks SET last_event_at = $2 WHERE id = $1", login="system")

end = command("UPDATE streaks SET ended_on = $2 WHERE id = $1", login="system")

begin = command(
    """
    INSERT INTO streaks (user_id, kind, started_on, length, max_length, last_event_at)
    VALUES ($1, $2, $3, 1, $4, $5)
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
