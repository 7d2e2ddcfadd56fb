"""SQL of gateways, for ingest; run as ping_system."""

from uuid import UUID

from core.db import command, query
from hub.domains.gateways.schemas import Wish

trusted = query(
    UUID,
    """
    SELECT id
    FROM gateways
    WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL
    """,
    login="system",
)

# Only a change is written: an event goes out for each written row. Of the sessions that a newer one
# has followed, nothing counts any more: a last will may come half a minute late.
set_status = command(
    """
    UPDATE gateways
    SET
      status = $2,
      sessions = CASE
        WHEN $3 = ANY(sessions) THEN sessions
        ELSE ($3::text || sessions)[1:8]
      END,
      last_seen_at = now()
    WHERE id = $1
      AND (status IS DISTINCT FROM $2 OR sessions[1] IS DISTINCT FROM $3)
      AND NOT $3 = ANY(sessions[2:])
      AND revoked_at IS NULL
    """,
    login="system",
)

note_info = query(
    Wish,
    """
    WITH noted AS (
      UPDATE gateways
      SET version = $2, reported = $3
      WHERE id = $1 AND revoked_at IS NULL
      RETURNING id, config_rev, config
    )
    SELECT id AS gateway_id, config_rev AS rev, config
    FROM noted
    WHERE config_rev > $4
    """,
    login="system",
)

# What an outage has left over comes late and never replaces what is newer; uptime tells, because
# a gateway's clock may be set back.
note_health = command(
    """
    UPDATE gateways
    SET health = $2, health_at = now()
    WHERE id = $1
      AND revoked_at IS NULL
      AND NOT $2::jsonb ->> 'session' = ANY(sessions[2:])
      AND (
        health IS NULL
        OR health ->> 'session' IS DISTINCT FROM $2::jsonb ->> 'session'
        OR (health ->> 'uptime_s')::bigint < ($2::jsonb ->> 'uptime_s')::bigint
      )
    """,
    login="system",
)
