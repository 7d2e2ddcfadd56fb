"""SQL of achievements: one list for everybody, progress by user."""

from core.db import command, query
from hub.domains.achievements.schemas import Progress, StoredAchievement

list_achievements = query(
    StoredAchievement,
    """
    SELECT id, code, name, description, tier, parent_id, rule::text, points, icon
    FROM achievements
    ORDER BY code
    """,
)

# The same, for those who count.
list_counted = query(
    StoredAchievement,
    """
    SELECT id, code, name, description, tier, parent_id, rule::text, points, icon
    FROM achievements
    ORDER BY id
    """,
    login="system",
)

list_progress = query(
    Progress,
    """
    SELECT p.achievement_id, a.code, a.name, a.tier, a.points, p.current_value, p.target_value,
        p.percent, p.last_increment_at, p.unlocked_at
    FROM achievement_progress AS p
    JOIN achievements AS a ON a.id = p.achievement_id
    WHERE p.user_id = app.user_id()
    ORDER BY p.percent DESC, p.unlocked_at DESC, a.code
    """,
)

# An event that comes again finds its increments there, and adds nothing. What is unlocked already
# is not counted any further.
count_event = command(
    """
    WITH counted AS (
        INSERT INTO achievement_increments (event_id, achievement_id, user_id)
        SELECT $1::uuid, w.achievement_id, $2::uuid
        FROM unnest($3::uuid[]) AS w (achievement_id)
        WHERE EXISTS (SELECT FROM users AS u WHERE u.id = $2::uuid)
            AND NOT EXISTS (
                SELECT FROM achievement_progress AS p
                WHERE p.user_id = $2::uuid
                    AND p.achievement_id = w.achievement_id
                    AND p.unlocked_at IS NOT NULL
            )
        ORDER BY w.achievement_id
        ON CONFLICT (event_id, achievement_id, user_id) DO NOTHING
        RETURNING achievement_id
    )
    INSERT INTO achievement_progress AS p (
        user_id, achievement_id, current_value, target_value, last_increment_at, unlocked_at
    )
    SELECT $2::uuid, w.achievement_id, 1, w.target, $5::timestamptz,
        CASE WHEN w.target = 1 THEN $5::timestamptz END
    FROM unnest($3::uuid[], $4::int[]) AS w (achievement_id, target)
    JOIN counted AS c ON c.achievement_id = w.achievement_id
    ORDER BY w.achievement_id
    ON CONFLICT (user_id, achievement_id) DO UPDATE
    SET current_value = least(p.current_value + 1, excluded.target_value),
        target_value = excluded.target_value,
        last_increment_at = greatest(p.last_increment_at, excluded.last_increment_at),
        unlocked_at = coalesce(
            p.unlocked_at,
            CASE
                WHEN p.current_value + 1 >= excluded.target_value THEN excluded.last_increment_at
            END
        )
    """,
    login="system",
)

# The longest one counts: a streak that breaks takes nothing away.
measure_streak = command(
    """
    INSERT INTO achievement_progress AS p (
        user_id, achievement_id, current_value, target_value, last_increment_at, unlocked_at
    )
    SELECT $1::uuid, w.achievement_id, least($4::int, w.target), w.target, $5::timestamptz,
        CASE WHEN $4::int >= w.target THEN $5::timestamptz END
    FROM unnest($2::uuid[], $3::int[]) AS w (achievement_id, target)
    WHERE EXISTS (SELECT FROM users AS u WHERE u.id = $1::uuid)
    ORDER BY w.achievement_id
    ON CONFLICT (user_id, achievement_id) DO UPDATE
    SET current_value = excluded.current_value,
        target_value = excluded.target_value,
        last_increment_at = excluded.last_increment_at,
        unlocked_at = excluded.unlocked_at
    WHERE p.unlocked_at IS NULL AND excluded.current_value > p.current_value
    """,
    login="system",
)

purge_increments = command(
    """
    DELETE FROM achievement_increments
    WHERE (event_id, achievement_id, user_id) IN (
        SELECT event_id, achievement_id, user_id
        FROM achievement_increments
        WHERE created_at < now() - interval '30 days'
        LIMIT $1
    )
    """,
    login="system",
)
