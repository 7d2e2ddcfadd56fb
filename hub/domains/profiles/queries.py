"""SQL of profiles; rows are fenced by policy."""

from core.db import command, query
from hub.domains.profiles.schemas import Profile

find_own = query(
    Profile,
    """
    SELECT user_id, username, display_name, bio, visibility
    FROM profiles
    WHERE user_id = app.user_id()
    """,
)

change_own = command(
    """
    UPDATE profiles
    SET display_name = CASE WHEN $1::boolean THEN $2::text ELSE display_name END,
        bio = CASE WHEN $3::boolean THEN $4::text ELSE bio END
    WHERE user_id = app.user_id()
    """
)

# Never back, and not for each of a hundred taps: a minute is exact enough to show.
mark_active = command(
    """
    UPDATE profiles
    SET last_active_at = $2::timestamptz
    WHERE user_id = $1
        AND (last_active_at IS NULL OR last_active_at < $2::timestamptz - interval '1 minute')
    """,
    login="system",
)
