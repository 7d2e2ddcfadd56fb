"""SQL of gateways, for ingest; run as ping_system."""

from uuid import UUID

from core.db import command, query

trusted = query(
    UUID,
    """
    SELECT id
    FROM gateways
    WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL
    """,
    login="system",
)

# Only a change is written: an event goes out for each written row.
set_status = command(
    """
    UPDATE gateways
    SET status = $2, last_seen_at = now()
    WHERE id = $1 AND status IS DISTINCT FROM $2 AND revoked_at IS NULL
    """,
    login="system",
)
