"""SQL of friends and blocks; rows are fenced by owner."""

from core.db import command, query
from hub.domains.friends.schemas import Block, Friend

# The page first, and its profiles in one go: a row at a time the policy of profiles would look each
# friendship up by itself, together the planner may read all of them once.
list_friends = query(
    Friend,
    """
    WITH page AS MATERIALIZED (
        SELECT friend_id, source, created_at
        FROM friendships
        WHERE user_id = app.user_id()
            AND (
                $1::timestamptz IS NULL
                OR (created_at, friend_id) < ($1::timestamptz, $2::uuid)
            )
        ORDER BY created_at DESC, friend_id DESC
        LIMIT $3
    )
    SELECT page.friend_id, p.display_name, p.username, page.source, page.created_at
    FROM page
    JOIN profiles AS p ON p.user_id = page.friend_id
    WHERE p.user_id = ANY (ARRAY(SELECT friend_id FROM page))
    ORDER BY page.created_at DESC, page.friend_id DESC
    """,
)

unfriend = query(bool, "SELECT app.unfriend($1)")

list_blocks = query(
    Block,
    """
    SELECT blocked_id AS user_id, created_at
    FROM blocks
    WHERE user_id = app.user_id()
        AND ($1::timestamptz IS NULL OR (created_at, blocked_id) < ($1::timestamptz, $2::uuid))
    ORDER BY created_at DESC, blocked_id DESC
    LIMIT $3
    """,
)

block = command("INSERT INTO blocks (blocked_id) VALUES ($1) ON CONFLICT DO NOTHING")

unblock = command("DELETE FROM blocks WHERE blocked_id = $1 AND user_id = app.user_id()")

is_blocked = query(bool, "SELECT app.is_blocked($1, $2)", login="system")
