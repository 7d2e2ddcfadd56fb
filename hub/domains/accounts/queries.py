"""SQL of accounts and sign-in sessions; rows are fenced by policy."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.accounts.schemas import (
    Account,
    KnownAccount,
    PickableUser,
    SealedEmail,
    SignInSession,
    StoredSession,
    Successor,
)

# As the system login: the picker of the development sign-in shows what no user may see.
list_users = query(
    PickableUser,
    """
    SELECT id, full_name
    FROM users
    WHERE deleted_at IS NULL AND kind = 'person' AND id > $1
    ORDER BY id
    LIMIT $2
    """,
    login="system",
)

# While an index moves from key to key no unique index sees that two forms are one address; the bare
# one, which this locks, is the same in every process.
lock_address = command(
    "SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 14))", login="system"
)

add_user = query(
    UUID,
    """
    INSERT INTO users (id, full_name, email, email_hash, timezone)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING id
    """,
    login="system",
)

create_user = query(
    UUID,
    """
    INSERT INTO users (id, full_name, email, email_hash, locale)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING id
    """,
    login="system",
)

find_user_by_email = query(
    UUID, "SELECT id FROM users WHERE email_hash = ANY($1::bytea[])", login="system"
)

find_me = query(
    Account,
    """
    SELECT
        id, full_name, timezone, locale, role, subscription_tier, subscription_status,
        onboarding_completed_at, last_login_at, created_at
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
        locale = coalesce($3, locale),
        onboarding_completed_at = CASE
            WHEN $4::boolean THEN coalesce(onboarding_completed_at, now())
            WHEN NOT $4::boolean THEN NULL
            ELSE onboarding_completed_at
        END
    WHERE id = app.user_id()
    """
)

note_login = command("UPDATE users SET last_login_at = now() WHERE id = app.user_id()")

insert_session = command(
    """
    INSERT INTO sessions (family_id, token_hash, user_agent, ip, expires_at, authenticated_at)
    VALUES (
      $1, $2, nullif($3, ''), nullif($4, '')::inet, now() + make_interval(secs => $5::int),
      to_timestamp($6::bigint)
    )
    """
)

# Returns when the person was last authenticated, in Unix seconds: $7, or as the parent knows it.
insert_successor = query(
    int,
    """
    INSERT INTO sessions (
      id, family_id, generation, device_name, signed_in_at, token_hash, user_agent, ip, expires_at,
      authenticated_at
    )
    SELECT
      $2, family_id, generation + 1, device_name, signed_in_at, $3, nullif($4, ''),
      nullif($5, '')::inet, now() + make_interval(secs => $6::int),
      coalesce(to_timestamp($7::bigint), authenticated_at)
    FROM sessions
    WHERE id = $1
    RETURNING floor(extract(epoch FROM coalesce(authenticated_at, signed_in_at)))::bigint
    """,
)

# Before an actor is known: the function answers ids only, keyed by the secret's hash.
find_session = query(
    StoredSession,
    """
    SELECT id, user_id, family_id, expires_at, revoked_at
    FROM app.find_session($1)
    """,
)

# Whoever ends a session must not miss the successor that an exchange under way is about to write:
# its row is invisible until that commits, so changes of one user's sessions wait for each other.
lock_sessions = command("SELECT pg_advisory_xact_lock(hashtextextended(app.user_id()::text, 11))")

exchange_token = query(
    UUID,
    """
    UPDATE sessions
    SET revoked_at = now(), revoked_because = 'exchanged'
    WHERE id = $1 AND revoked_at IS NULL AND expires_at > now() AND user_id = app.user_id()
    RETURNING id
    """,
)

# The live child of a token that was exchanged a moment ago. clock_timestamp: now() is from before
# the wait for the lock.
find_fresh_successor = query(
    Successor,
    """
    SELECT
      child.id,
      floor(extract(epoch FROM coalesce(child.authenticated_at, child.signed_in_at)))::bigint
        AS authenticated_at
    FROM sessions AS parent
    JOIN sessions AS child
      ON child.family_id = parent.family_id AND child.generation = parent.generation + 1
    WHERE
      parent.id = $1
      AND parent.user_id = app.user_id()
      AND child.user_id = app.user_id()
      AND parent.revoked_because = 'exchanged'
      AND parent.revoked_at > clock_timestamp() - make_interval(secs => $2)
      AND child.revoked_at IS NULL
      AND child.expires_at > now()
    """,
)

revoke_family = query(
    UUID,
    """
    UPDATE sessions
    SET revoked_at = now(), revoked_because = $2
    WHERE family_id = $1 AND revoked_at IS NULL AND user_id = app.user_id()
    RETURNING family_id
    """,
)

# Which of its tokens was used a second time; its owner is told what may have been done with it.
note_reuse = command("SELECT app.note_reuse($1)")

revoke_other_families = query(
    UUID,
    """
    UPDATE sessions
    SET revoked_at = now(), revoked_because = 'removed'
    WHERE family_id <> $1 AND revoked_at IS NULL AND user_id = app.user_id()
    RETURNING family_id
    """,
)

_SESSION_COLUMNS: Final = (
    "family_id AS id, device_name, user_agent, host(ip) AS ip, signed_in_at AS created_at, "
    "created_at AS last_used_at, family_id = $1 AS is_current"
)

list_sessions = query(
    SignInSession,
    """
    SELECT {columns}
    FROM sessions
    WHERE
      family_id < $2 AND revoked_at IS NULL AND expires_at > now() AND user_id = app.user_id()
    ORDER BY family_id DESC
    LIMIT $3
    """,
    columns=_SESSION_COLUMNS,
)

get_session = query(
    SignInSession,
    """
    SELECT {columns}
    FROM sessions
    WHERE
      family_id = $2 AND revoked_at IS NULL AND expires_at > now() AND user_id = app.user_id()
    """,
    columns=_SESSION_COLUMNS,
)

name_session = query(
    SignInSession,
    """
    UPDATE sessions
    SET device_name = $3
    WHERE
      family_id = $2 AND revoked_at IS NULL AND expires_at > now() AND user_id = app.user_id()
    RETURNING {columns}
    """,
    columns=_SESSION_COLUMNS,
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

_KNOWN_COLUMNS: Final = (
    "id, full_name, role, subscription_tier, subscription_status, last_login_at, created_at"
)

find_accounts = query(
    KnownAccount,
    """
    SELECT {columns}
    FROM users
    WHERE deleted_at IS NULL AND kind = 'person'
        AND position(lower($1::text) IN lower(full_name)) > 0
        AND ($2::text IS NULL OR role = $2::text)
        AND ($3::uuid IS NULL OR id > $3::uuid)
    ORDER BY id
    LIMIT $4
    """,
    columns=_KNOWN_COLUMNS,
    login="system",
)

# Another role ends the sign-in sessions, by a trigger.
set_role = query(
    KnownAccount,
    """
    UPDATE users
    SET role = $2
    WHERE id = $1 AND deleted_at IS NULL AND kind = 'person'
    RETURNING {columns}
    """,
    columns=_KNOWN_COLUMNS,
    login="system",
)

set_subscription = query(
    KnownAccount,
    """
    UPDATE users
    SET subscription_tier = $2, subscription_status = $3
    WHERE id = $1 AND deleted_at IS NULL AND kind = 'person'
    RETURNING {columns}
    """,
    columns=_KNOWN_COLUMNS,
    login="system",
)
