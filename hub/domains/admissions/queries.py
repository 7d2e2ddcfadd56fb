"""SQL of admissions; run as ping_system."""

from uuid import UUID

from core.db import query

list_admitted = query(
    UUID, "SELECT id FROM gateways WHERE revoked_at IS NULL ORDER BY id", login="system"
)

is_admitted = query(
    bool,
    "SELECT EXISTS (SELECT FROM gateways WHERE id = $1 AND revoked_at IS NULL)",
    login="system",
)

list_lately_revoked = query(
    UUID,
    """
    SELECT id
    FROM gateways
    WHERE revoked_at > now() - make_interval(secs => $1)
    ORDER BY id
    """,
    login="system",
)

list_lately_replaced = query(
    UUID,
    """
    SELECT DISTINCT g.id
    FROM gateways AS g
    JOIN gateway_certificates AS c ON c.user_id = g.user_id AND c.gateway_id = g.id
    WHERE g.revoked_at IS NULL
        AND g.claimed_at > now() - make_interval(secs => $1)
        AND c.revoked_reason = 'replaced'
        AND c.not_after > now()
    ORDER BY g.id
    """,
    login="system",
)
