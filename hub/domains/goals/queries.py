"""SQL of goals and their tags; rows are fenced by owner."""

from uuid import UUID

from core.db import command, query
from hub.domains.goals.schemas import Goal, GoalTag

list_goals = query(
    Goal,
    """
    SELECT g.id, g.contact_id, g.kind, g.intention, g.timeline, g.success_criteria, g.status,
        g.achieved_at,
        ARRAY(
            SELECT l.tag_id FROM goal_tag_links AS l WHERE l.goal_id = g.id ORDER BY l.tag_id
        ) AS tag_ids,
        g.created_at, g.updated_at
    FROM connection_goals AS g
    WHERE ($1::uuid IS NULL OR g.id < $1::uuid)
        AND ($2::text IS NULL OR g.status = $2::text)
        AND (
            $3::uuid IS NULL
            OR EXISTS (
                SELECT FROM goal_tag_links AS l WHERE l.goal_id = g.id AND l.tag_id = $3::uuid
            )
        )
    ORDER BY g.id DESC
    LIMIT $4
    """,
)

find_goal = query(
    Goal,
    """
    SELECT g.id, g.contact_id, g.kind, g.intention, g.timeline, g.success_criteria, g.status,
        g.achieved_at,
        ARRAY(
            SELECT l.tag_id FROM goal_tag_links AS l WHERE l.goal_id = g.id ORDER BY l.tag_id
        ) AS tag_ids,
        g.created_at, g.updated_at
    FROM connection_goals AS g
    WHERE g.id = $1
    """,
)

# So that of two changes each sees the state that the other leaves.
lock_goal = query(UUID, "SELECT id FROM connection_goals WHERE id = $1 FOR UPDATE")

count_goals = query(int, "SELECT count(*) FROM connection_goals")

add_goal = query(
    UUID,
    """
    INSERT INTO connection_goals (kind, intention, timeline, success_criteria, contact_id)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING id
    """,
)

change_goal = command(
    """
    UPDATE connection_goals
    SET kind = $2, intention = $3, timeline = $4, success_criteria = $5, contact_id = $6,
        status = $7, achieved_at = $8
    WHERE id = $1
    """
)

remove_goal = command("DELETE FROM connection_goals WHERE id = $1")

list_tags = query(GoalTag, "SELECT id, name, color, icon FROM goal_tags ORDER BY name")

tag_goal = command(
    """
    INSERT INTO goal_tag_links (goal_id, tag_id)
    VALUES ($1, $2)
    ON CONFLICT (goal_id, tag_id) DO NOTHING
    """
)

untag_goal = command("DELETE FROM goal_tag_links WHERE goal_id = $1 AND tag_id = $2")
