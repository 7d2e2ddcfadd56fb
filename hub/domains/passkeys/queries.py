"""SQL of passkeys; rows are fenced by policy, and written by the hub alone."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.passkeys.schemas import Descriptor, Passkey, StoredPasskey

# Whoever takes the login away locks in the same order; two sign-ins count one after the other.
lock_passkey = query(
    StoredPasskey,
    """
    SELECT
      p.id, p.user_id, p.public_key, p.sign_count, p.is_user_verified, p.is_backup_eligible,
      u.deleted_at IS NOT NULL AS is_closed
    FROM passkey_credentials AS p
    JOIN user_logins AS l ON l.id = p.id
    JOIN users AS u ON u.id = p.user_id
    WHERE p.credential_id = $1
    FOR UPDATE OF l, p
    """,
    login="system",
)

insert_passkey = command(
    """
    INSERT INTO passkey_credentials (
      id, user_id, credential_id, public_key, sign_count, name, transports, is_user_verified,
      is_backup_eligible, is_backed_up
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    """,
    login="system",
)

note_sign_in = command(
    """
    UPDATE passkey_credentials
    SET sign_count = $2, is_user_verified = $3, is_backed_up = $4
    WHERE id = $1
    """,
    login="system",
)

suspect = command(
    "UPDATE passkey_credentials SET suspected_at = now() WHERE id = $1", login="system"
)

list_descriptors = query(
    Descriptor,
    r"""
    SELECT translate(encode(credential_id, 'base64'), E'+/=\n', '-_') AS id, transports,
      'public-key' AS type
    FROM passkey_credentials
    WHERE user_id = app.user_id()
    ORDER BY id
    """,
)

_PASSKEY_COLUMNS: Final = (
    "p.id, p.name, "
    r"translate(encode(p.credential_id, 'base64'), E'+/=\n', '-_') AS credential_id, "
    "p.transports, p.is_user_verified, p.is_backup_eligible, p.is_backed_up, p.suspected_at, "
    "l.last_used_at, p.created_at"
)

list_passkeys = query(
    Passkey,
    """
    SELECT {columns}
    FROM passkey_credentials AS p
    JOIN user_logins AS l ON l.user_id = p.user_id AND l.id = p.id
    WHERE p.user_id = app.user_id() AND p.id > $1
    ORDER BY p.id
    LIMIT $2
    """,
    columns=_PASSKEY_COLUMNS,
)

find_my_passkey = query(
    Passkey,
    """
    SELECT {columns}
    FROM passkey_credentials AS p
    JOIN user_logins AS l ON l.user_id = p.user_id AND l.id = p.id
    WHERE p.user_id = app.user_id() AND p.id = $1
    """,
    columns=_PASSKEY_COLUMNS,
)

name_passkey = query(
    UUID,
    """
    UPDATE passkey_credentials
    SET name = $2
    WHERE user_id = app.user_id() AND id = $1
    RETURNING id
    """,
)
