"""SQL of verified addresses; rows are fenced by owner, look-ups by app.match_identities."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.identities.schemas import Identity, Match

_IDENTITY_COLUMNS: Final = "id, kind, verified_at, created_at"

list_own = query(
    Identity,
    """
    SELECT {columns}
    FROM identity_hashes
    WHERE user_id = app.user_id() AND id > $1
    ORDER BY id
    LIMIT $2
    """,
    columns=_IDENTITY_COLUMNS,
)

find_own = query(
    Identity,
    """
    SELECT {columns}
    FROM identity_hashes
    WHERE user_id = app.user_id() AND id = $1
    """,
    columns=_IDENTITY_COLUMNS,
)

delete_own = query(
    UUID, "DELETE FROM identity_hashes WHERE user_id = app.user_id() AND id = $1 RETURNING id"
)

# The bare index is the same in every process, whatever its key.
lock_identity = command(
    "SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 15))", login="system"
)

# A statement of its own: the row has to be gone before another one takes its place.
release = command(
    """
    DELETE FROM identity_hashes
    WHERE
      kind = $2 AND hash = ANY($3::bytea[]) AND user_id <> $1
      AND verified_at < now() - make_interval(days => $4)
    """,
    login="system",
)

# Whoever else still holds it keeps it.
note_verified = command(
    """
    WITH held AS (
        UPDATE identity_hashes
        SET verified_at = CASE WHEN user_id = $1 THEN now() ELSE verified_at END
        WHERE kind = $3 AND hash = ANY($5::bytea[])
        RETURNING id
    )
    INSERT INTO identity_hashes (user_id, login_id, kind, hash)
    SELECT $1, $2, $3, $4
    WHERE NOT EXISTS (SELECT FROM held)
    """,
    login="system",
)

match = query(
    Match,
    """
    SELECT position, user_id, display_name
    FROM app.match_identities($1::int[], $2::text[], $3::bytea[], $4)
    """,
)

find_locale = query(str, "SELECT coalesce(locale, '') FROM users WHERE id = app.user_id()")
