"""SQL of what all routes share: API keys at the door, idempotency keys, administrators.

Rows belong to the acting user by policy; an API key is looked up before there is one.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Raw, Struct

from core.db import command, query
from hub.http.limits import Tier


class FoundKey(Struct, frozen=True):
    """A live API key as the look-up by its hash finds it."""

    id: UUID
    user_id: UUID
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    is_use_unnoted: bool


find_api_key = query(
    FoundKey,
    """
    SELECT id, user_id, prefix, scopes, expires_at, is_use_unnoted
    FROM app.find_api_key($1)
    """,
)

# Of many processes at once, one writes.
note_api_key_use = command(
    """
    UPDATE api_keys
    SET last_used_at = now()
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    """,
    login="system",
)


class AccountTier(Struct, frozen=True):
    """What an account has paid for."""

    tier: Tier


# Whoever has cancelled has what everybody has; a late payment is given time.
find_tier = query(
    AccountTier,
    """
    SELECT
      CASE subscription_status WHEN 'cancelled' THEN 'free' ELSE subscription_tier END AS tier
    FROM users
    WHERE id = $1
    """,
    login="system",
)

tiers_changed_within = query(
    UUID,
    """
    SELECT subject_id
    FROM events
    WHERE type = 'subscription.changed' AND occurred_at > now() - make_interval(secs => $1)
    """,
    login="system",
)


class StoredAnswer(Struct, frozen=True):
    """A claimed key: the request it was claimed for and the answer once there is one."""

    id: UUID
    request_hash: bytes
    response_status: int | None
    response_headers: Raw | None
    response_body: bytes | None


# The lock says "in flight" to others without making them wait; it ends with the transaction, so a
# crashed hub leaves nothing behind. An expired row is taken over as if it were absent.
claim_key = query(
    UUID,
    """
    INSERT INTO idempotency_keys AS k (key, request_hash, status, expires_at)
    SELECT $1::text, $2::bytea, 'pending', now() + interval '24 hours'
    WHERE pg_try_advisory_xact_lock(hashtextextended($1::text || app.user_id()::text, 7))
    ON CONFLICT (user_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, status = 'pending', response_status = NULL,
        response_headers = NULL, response_body = NULL, expires_at = excluded.expires_at
    WHERE k.expires_at < now()
    RETURNING id
    """,
)

read_answer = query(
    StoredAnswer,
    """
    SELECT id, request_hash, response_status, response_headers, response_body
    FROM idempotency_keys
    WHERE key = $1 AND user_id = app.user_id()
    """,
)

store_answer = command(
    """
    UPDATE idempotency_keys
    SET status = 'completed', response_status = $2, response_headers = $3, response_body = $4
    WHERE id = $1 AND user_id = app.user_id()
    """
)

is_admin = query(bool, "SELECT coalesce(app.is_admin(), false)")

# Until the end of the transaction; of the logins only ping_api may.
become_admin = command("SELECT set_config('role', 'ping_admin', true)")
