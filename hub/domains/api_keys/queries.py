"""SQL of API keys and service accounts.

Keys name their account, since administrators write those of service accounts as ping_system; for
everybody else the policies let only one's own pass.
"""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.api_keys.schemas import AccountKey, ApiKey, ServiceAccount

# Until the end of the transaction, so that of many at once none passes the limit.
lock_keys = command("SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 12))")

count_keys = query(int, "SELECT count(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL")

_KEY_COLUMNS: Final = "id, name, prefix, scopes, last_used_at, expires_at, created_at"

add_key = query(
    ApiKey,
    """
    INSERT INTO api_keys (user_id, id, name, prefix, secret_hash, scopes, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING {columns}
    """,
    columns=_KEY_COLUMNS,
)

list_keys = query(
    ApiKey,
    """
    SELECT {columns}
    FROM api_keys
    WHERE user_id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR id < $2::uuid)
    ORDER BY id DESC
    LIMIT $3
    """,
    columns=_KEY_COLUMNS,
)

get_key = query(
    ApiKey,
    """
    SELECT {columns}
    FROM api_keys
    WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL
    """,
    columns=_KEY_COLUMNS,
)

change_key = query(
    ApiKey,
    """
    UPDATE api_keys
    SET name = coalesce($3, name), scopes = coalesce($4, scopes)
    WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL
    RETURNING {columns}
    """,
    columns=_KEY_COLUMNS,
)

revoke_key = command(
    """
    UPDATE api_keys
    SET revoked_at = now()
    WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL
    """
)

has_key = query(bool, "SELECT EXISTS (SELECT FROM api_keys WHERE user_id = $1 AND id = $2)")

list_all_keys = query(
    AccountKey,
    """
    SELECT k.id, k.user_id, u.kind AS account_kind, k.name, k.prefix, k.scopes, k.last_used_at,
        k.expires_at, k.created_at
    FROM api_keys AS k
    JOIN users AS u ON u.id = k.user_id
    WHERE k.revoked_at IS NULL
        AND ($1::uuid IS NULL OR k.user_id = $1::uuid)
        AND ($2::uuid IS NULL OR k.id < $2::uuid)
    ORDER BY k.id DESC
    LIMIT $3
    """,
    login="system",
)

revoke_by_prefix = query(
    UUID,
    """
    UPDATE api_keys
    SET revoked_at = now()
    WHERE prefix = $1 AND revoked_at IS NULL
    RETURNING id
    """,
    login="system",
)

has_account = query(
    bool,
    "SELECT EXISTS (SELECT FROM users WHERE id = $1 AND deleted_at IS NULL)",
    login="system",
)

add_service_account = query(
    ServiceAccount,
    """
    INSERT INTO users (id, full_name, kind)
    VALUES ($1, $2, 'service')
    RETURNING id, full_name AS name, created_at
    """,
    login="system",
)

list_service_accounts = query(
    ServiceAccount,
    """
    SELECT id, full_name AS name, created_at
    FROM users
    WHERE kind = 'service' AND deleted_at IS NULL AND ($1::uuid IS NULL OR id < $1::uuid)
    ORDER BY id DESC
    LIMIT $2
    """,
    login="system",
)

find_service_account = query(
    UUID,
    "SELECT id FROM users WHERE id = $1 AND kind = 'service' AND deleted_at IS NULL",
    login="system",
)

close_service_account = command(
    "UPDATE users SET deleted_at = now() WHERE id = $1 AND kind = 'service' AND deleted_at IS NULL",
    login="system",
)

revoke_all_keys = command(
    "UPDATE api_keys SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL",
    login="system",
)
