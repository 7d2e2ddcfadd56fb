"""SQL of logins; rows are fenced by policy."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.logins.schemas import FoundLogin, Login, Owner

# Before an actor is known: the function answers ids only, keyed by what a verified token says.
find_login = query(FoundLogin, "SELECT user_id, role FROM app.find_login($1, $2)")

# Two first sign-ins of one person at once must not become two accounts.
lock_login = command(
    """
    SELECT pg_advisory_xact_lock(hashtextextended($1::text || chr(31) || $2::text, 12))
    """,
    login="system",
)

find_owner = query(
    Owner,
    """
    SELECT l.id, l.user_id, u.deleted_at IS NOT NULL AS is_closed
    FROM user_logins AS l
    JOIN users AS u ON u.id = l.user_id
    WHERE l.issuer = $1 AND l.subject = $2
    """,
    login="system",
)

has_address = query(
    bool,
    """
    SELECT EXISTS (SELECT FROM users WHERE email_hash = ANY($1::bytea[]))
    OR EXISTS (SELECT FROM user_logins WHERE email_hash = ANY($1::bytea[]))
    """,
    login="system",
)

insert_login = query(
    UUID,
    """
    INSERT INTO user_logins (user_id, provider, issuer, subject, email_hash, last_used_at)
    VALUES ($1, $2, $3, $4, $5, now())
    RETURNING id
    """,
    login="system",
)

note_use = command(
    """
    UPDATE user_logins
    SET last_used_at = now(), provider = $2
    WHERE id = $1
    """,
    login="system",
)

count_logins_of = query(int, "SELECT count(*) FROM user_logins WHERE user_id = $1", login="system")

_LOGIN_COLUMNS: Final = "id, provider, issuer, last_used_at, created_at"

list_logins = query(
    Login,
    """
    SELECT {columns}
    FROM user_logins
    WHERE user_id = app.user_id() AND id > $1
    ORDER BY id
    LIMIT $2
    """,
    columns=_LOGIN_COLUMNS,
)

find_my_login = query(
    Login,
    """
    SELECT {columns}
    FROM user_logins
    WHERE user_id = app.user_id() AND id = $1
    """,
    columns=_LOGIN_COLUMNS,
)

# Two removals at once must not both leave the other's login.
lock_my_logins = command("SELECT pg_advisory_xact_lock(hashtextextended(app.user_id()::text, 13))")

lock_logins_of = command(
    "SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 13))", login="system"
)

has_another_login = query(
    bool,
    """
    SELECT EXISTS (SELECT FROM user_logins WHERE user_id = app.user_id() AND id <> $1)
    """,
)

delete_login = command("DELETE FROM user_logins WHERE user_id = app.user_id() AND id = $1")
