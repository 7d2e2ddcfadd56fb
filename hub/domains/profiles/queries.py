"""SQL of profiles; rows are fenced by policy."""

from msgspec import Raw

from core.db import command, query
from hub.domains.profiles.schemas import Profile, StoredPrivacy

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

find_privacy = query(Raw, "SELECT privacy_settings FROM profiles WHERE user_id = app.user_id()")

change_privacy = query(
    Raw,
    """
    UPDATE profiles
    SET privacy_settings = privacy_settings || $1::jsonb
    WHERE user_id = app.user_id()
    RETURNING privacy_settings
    """,
)

# In one order, and held until the commit: what is decided by them is decided by the last ones.
lock_privacy = query(
    StoredPrivacy,
    """
    SELECT p.user_id, p.privacy_settings AS settings
    FROM profiles AS p
    JOIN users AS u ON u.id = p.user_id AND u.deleted_at IS NULL
    WHERE p.user_id = ANY($1::uuid[])
    ORDER BY p.user_id
    FOR NO KEY UPDATE OF p
    """,
    login="system",
)
