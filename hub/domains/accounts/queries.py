"""SQL of accounts and sign-in sessions; rows are fenced by policy."""

from uuid import UUID

from core.db import command, query
from hub.domains.accounts.schemas import Account, PickableUser, SealedEmail, StoredSession

# As the system login: the picker of the development sign-in shows what no user may see.
list_users = query(
    PickableUser,
    """
    SELECT id, full_name
    FROM users
    WHERE deleted_at IS NULL AND id > $1
    ORDER BY id
    LIMIT $2
    """,
    login="system",
)

add_user = command(
    """
    INSERT INTO users (id, full_name, email, email_hash, timezone)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (email_hash) DO NOTHING
    """,
    login="system",
)

create_user = query(
    UUID,
    """
    INSERT INTO users (id, full_name, email, email_hash, locale)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (email_hash) DO NOTHING
    RETURNING id
    """,
    login="system",
)

find_user_by_email = query(UUID, "SELECT id FROM users WHERE email_hash = $1", login="system")

find_me = query(
    Account,
    """
    SELECT id, full_name, timezone, locale, role, created_at
    FROM users
    WHERE id = app.user_id() AND deleted_at IS NULL
    """,
)

find_my_email = query(SealedEmail, "SELECT email FROM users WHERE id = app.user_id()")

change_me = command(
    """
    UPDATE users
    SET full_name = coalesce($1, full_name),
        timezone = coalesce($2, timezone),
        locale = coalesce($3, locale)
    WHERE id = app.user_id()
    """
)

note_login = command("UPDATE users SET last_login_at = now() WHERE id = app.user_id()")

insert_session = command(
    """
    INSERT INTO sessions (family_id, token_hash, user_agent, ip, expires_at)
    VALUES ($1, $2, nullif($3, ''), nullif($4, '')::inet, now() + make_interval(secs => $5::int))
    """
)

# Before an actor is known: the function answers ids only, keyed by the secret's hash.
find_session = query(
    StoredSession,
    """
    SELECT id, user_id, family_id, expires_at, revoked_at
    FROM app.find_session($1)
    """,
)

# Whoever ends a family must not miss the successor that an exchange under way is about to write:
# its row is invisible until that commits, so all of a family's changes wait for each other.
lock_family = command("SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 11))")

# Of two exchanges of one token at once, one revokes the row and the other finds it revoked.
revoke_session = query(
    UUID,
    """
    UPDATE sessions
    SET revoked_at = now()
    WHERE id = $1 AND revoked_at IS NULL AND expires_at > now() AND user_id = app.user_id()
    RETURNING id
    """,
)

revoke_family = command(
    """
    UPDATE sessions
    SET revoked_at = now()
    WHERE family_id = $1 AND revoked_at IS NULL AND user_id = app.user_id()
    """
)

# From the events, whose index by type and time makes it cheap; the row itself is one of many that
# exchanges of refresh tokens have revoked.
sessions_revoked_within = query(
    UUID,
    """
    SELECT subject_id
    FROM events
    WHERE type = 'session.revoked' AND occurred_at > now() - make_interval(secs => $1)
    ORDER BY occurred_at
    """,
    login="system",
)
