"""SQL of gateways: what owners ask under their policies, and what ingest notes as ping_system."""

from datetime import datetime
from uuid import UUID

import msgspec

from core.db import command, query
from core.edge import RejectCode
from hub.domains.gateways.schemas import GatewayOverview, GatewayStatus, Wish


class GatewayRow(msgspec.Struct, frozen=True):
    """A gateway as its owner may see it."""

    id: UUID
    name: str
    status: GatewayStatus
    last_seen_at: datetime | None
    version: str | None
    adapters: list[str]
    capabilities: list[str]
    config: msgspec.Raw
    config_rev: int
    reported: msgspec.Raw
    health: msgspec.Raw | None
    health_at: datetime | None
    watch: msgspec.Raw
    alerts: list[str]
    claimed_at: datetime | None
    claim_expires_at: datetime | None
    certificate_expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


add = command("INSERT INTO gateways (id, name) VALUES ($1, $2)")

# Of a gateway that was cast out nothing more is heard, not even its end.
find = query(
    GatewayRow,
    """
    SELECT id, name, CASE WHEN revoked_at IS NULL THEN status ELSE 'offline' END AS status,
        last_seen_at, version, adapters, capabilities, config, config_rev, reported, health,
        health_at, watch, CASE WHEN revoked_at IS NULL THEN alerts ELSE '{}' END AS alerts,
        claimed_at, claim_expires_at, cert_expires_at AS certificate_expires_at, revoked_at,
        created_at
    FROM gateways
    WHERE id = $1 AND user_id = app.user_id()
    """,
)

list_page = query(
    GatewayRow,
    """
    SELECT id, name, status, last_seen_at, version, adapters, capabilities, config, config_rev,
        reported, health, health_at, watch, alerts, claimed_at, claim_expires_at,
        cert_expires_at AS certificate_expires_at, revoked_at, created_at
    FROM gateways
    WHERE user_id = app.user_id()
        AND revoked_at IS NULL
        AND ($1::uuid IS NULL OR id < $1::uuid)
        AND ($2::text IS NULL OR status = $2::text)
        AND ($3::bool IS NULL OR (alerts <> '{}') = $3::bool)
    ORDER BY id DESC
    LIMIT $4
    """,
)

rename = command(
    """
    UPDATE gateways
    SET name = $2
    WHERE id = $1 AND user_id = app.user_id() AND revoked_at IS NULL
    """
)

# One statement decides: of two changes of the same revision one finds it gone.
configure = command(
    """
    UPDATE gateways
    SET config = $2, config_rev = config_rev + 1
    WHERE id = $1 AND user_id = app.user_id() AND config_rev = $3 AND revoked_at IS NULL
    """
)


class RejectedRow(msgspec.Struct, frozen=True):
    """A refused tap; the ring only where the actor may see it."""

    id: UUID
    gateway_id: UUID
    device_id: bytes | None
    ring_id: UUID | None
    boot: int | None
    seq: int | None
    reason: RejectCode
    received_at: datetime


list_rejected = query(
    RejectedRow,
    """
    SELECT t.id, t.gateway_id, t.device_id, r.id AS ring_id, t.boot, t.seq, t.reason,
        t.received_at
    FROM rejected_taps AS t
    LEFT JOIN rings AS r ON r.device_id = t.device_id
    WHERE ($1::uuid IS NULL OR t.id < $1::uuid)
        AND ($2::uuid IS NULL OR t.gateway_id = $2::uuid)
        AND t.gateway_id IN (SELECT g.id FROM gateways AS g WHERE g.user_id = app.user_id())
    ORDER BY t.id DESC
    LIMIT $3
    """,
)

device_of = query(bytes, "SELECT device_id FROM rings WHERE id = $1 AND user_id = app.user_id()")

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
      last_seen_at = now(),
      alerts = array_remove(alerts, 'offline')
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
      SET version = $2, reported = $3, adapters = $5, capabilities = $6
      WHERE id = $1 AND revoked_at IS NULL
      RETURNING id, config_rev, config
    )
    SELECT id AS gateway_id, config_rev AS rev, config
    FROM noted
    WHERE config_rev > $4
    """,
    login="system",
)


class Known(msgspec.Struct, frozen=True):
    """What is known of a gateway when its next health report comes."""

    health: msgspec.Raw | None
    watch: msgspec.Raw


# What an outage has left over comes late and never replaces what is newer; uptime tells, because
# a gateway's clock may be set back.
lock_for_health = query(
    Known,
    """
    SELECT health, watch
    FROM gateways
    WHERE id = $1
      AND revoked_at IS NULL
      AND NOT $2::text = ANY(sessions[2:])
      AND (
        health IS NULL
        OR health ->> 'session' IS DISTINCT FROM $2::text
        OR (health ->> 'uptime_s')::bigint < $3::bigint
      )
    FOR NO KEY UPDATE
    """,
    login="system",
)

note_health = command(
    "UPDATE gateways SET health = $2, health_at = now(), watch = $3 WHERE id = $1", login="system"
)


class ConditionRow(msgspec.Struct, frozen=True):
    """What alerts of a gateway follow from."""

    id: UUID
    status: GatewayStatus
    last_seen_at: datetime | None
    health: msgspec.Raw | None
    watch: msgspec.Raw
    cert_expires_at: datetime | None
    rejected_recently: int
    alerts: list[str]


# Without ids: all of them.
conditions = query(
    ConditionRow,
    """
    SELECT
      g.id, g.status, g.last_seen_at, g.health, g.watch, g.cert_expires_at,
      coalesce(r.taps, 0)::int AS rejected_recently, g.alerts
    FROM gateways AS g
    LEFT JOIN (
      SELECT gateway_id, count(*) AS taps
      FROM rejected_taps
      WHERE received_at > now() - interval '1 hour'
      GROUP BY gateway_id
    ) AS r ON r.gateway_id = g.id
    WHERE g.revoked_at IS NULL AND ($1::uuid[] IS NULL OR g.id = ANY($1::uuid[]))
    ORDER BY g.id
    """,
    login="system",
)

set_alerts = command(
    "UPDATE gateways SET alerts = $2 WHERE id = $1 AND revoked_at IS NULL AND alerts <> $2",
    login="system",
)

# Unsigned, so believed of the owner's own gateways only. Of several the connected one speaks.
note_ring = command(
    """
    UPDATE rings AS r
    SET
      link = $3,
      heard_by = g.id,
      battery_pct = coalesce($4::smallint, r.battery_pct),
      firmware_version = coalesce($5::text, r.firmware_version),
      last_seen_at = CASE WHEN $3 = 'lost' THEN r.last_seen_at ELSE now() END
    FROM gateways AS g
    WHERE r.device_id = $2
      AND g.id = $1
      AND g.user_id = r.user_id
      AND g.revoked_at IS NULL
      -- What is retained outlives the gateway that said it.
      AND (g.status = 'online' OR $3 = 'lost')
      AND r.status IN ('active', 'lost')
      AND (r.heard_by IS NULL OR r.heard_by = g.id OR r.link <> 'connected' OR $3 = 'connected')
      AND (
        (r.link, r.heard_by) IS DISTINCT FROM ($3, g.id)
        OR r.battery_pct IS DISTINCT FROM coalesce($4::smallint, r.battery_pct)
        OR r.firmware_version IS DISTINCT FROM coalesce($5::text, r.firmware_version)
        OR r.last_seen_at < now() - interval '1 minute'
      )
    """,
    login="system",
)

lose_rings = command(
    """
    UPDATE rings AS r
    SET link = 'lost'
    FROM gateways AS g
    WHERE g.id = $1 AND r.user_id = g.user_id AND r.heard_by = g.id AND r.link <> 'lost'
    """,
    login="system",
)

find_wish = query(
    Wish,
    """
    SELECT id AS gateway_id, config_rev AS rev, config
    FROM gateways
    WHERE id = $1 AND revoked_at IS NULL
    """,
    login="system",
)


class Tally(msgspec.Struct, frozen=True):
    """All gateways at a glance."""

    online: int
    offline: int
    spool_pending: int
    spool_oldest_ms: int
    clock_error_ms: int


tally = query(
    Tally,
    """
    SELECT
      (count(*) FILTER (WHERE status = 'online'))::int AS online,
      (count(*) FILTER (WHERE status = 'offline'))::int AS offline,
      least(
        coalesce(sum((health -> 'spool' ->> 'pending')::bigint), 0), 9007199254740991
      )::bigint AS spool_pending, -- a thousand gateways that lie exceed what the type holds
      coalesce(
        max((health ->> 't')::bigint - (health -> 'spool' ->> 'oldest_ms')::bigint), 0
      )::bigint AS spool_oldest_ms,
      coalesce(max(abs((watch ->> 'clock_error_ms')::bigint)), 0)::bigint AS clock_error_ms
    FROM gateways
    WHERE revoked_at IS NULL AND last_seen_at IS NOT NULL
    """,
    login="system",
)


class Count(msgspec.Struct, frozen=True):
    """How many of something."""

    name: str
    count: int


alert_counts = query(
    Count,
    """
    SELECT alert AS name, count(*)::int AS count
    FROM gateways
    CROSS JOIN unnest(alerts) AS alert
    WHERE revoked_at IS NULL
    GROUP BY alert
    ORDER BY alert
    """,
    login="system",
)

rejected_counts = query(
    Count,
    """
    SELECT reason AS name, count(*)::int AS count
    FROM rejected_taps
    WHERE received_at > now() - interval '1 day'
    GROUP BY reason
    ORDER BY reason
    """,
    login="system",
)

overview = query(
    GatewayOverview,
    """
    SELECT
      id, status, version, last_seen_at, config_rev,
      coalesce((reported ->> 'rev')::int, 0) AS reported_rev,
      coalesce((reported ->> 'rejected_rev')::int, 0) AS rejected_rev,
      coalesce((health -> 'spool' ->> 'pending')::bigint, 0) AS spool_pending,
      (watch ->> 'clock_error_ms')::bigint AS clock_error_ms,
      cert_expires_at AS certificate_expires_at, alerts
    FROM gateways
    WHERE revoked_at IS NULL
    ORDER BY cardinality(alerts) DESC, id
    LIMIT $1
    """,
    login="system",
)
