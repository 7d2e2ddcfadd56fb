"""SQL of rings and taps; rows are fenced by owner."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from core.db import command, query
from hub.domains.rings.schemas import Ring, StoredRing, Tap

_RING_COLUMNS: Final = (
    "id, label, kind, status, battery_pct, firmware_version, link, verified, claimed_at, "
    "last_seen_at, created_at"
)

find_ring = query(
    Ring,
    """
    SELECT {columns}
    FROM rings
    WHERE id = $1 AND user_id = app.user_id()
    """,
    columns=_RING_COLUMNS,
)

list_rings = query(
    Ring,
    """
    SELECT {columns}
    FROM rings
    WHERE user_id = app.user_id() AND ($1::uuid IS NULL OR id < $1::uuid)
    ORDER BY id DESC
    LIMIT $2
    """,
    columns=_RING_COLUMNS,
)

rename = query(
    Ring,
    """
    UPDATE rings
    SET label = $2
    WHERE id = $1 AND user_id = app.user_id()
    RETURNING {columns}
    """,
    columns=_RING_COLUMNS,
)

# A revoked ring stays revoked; a lost one is lost already.
report_lost = query(
    Ring,
    """
    UPDATE rings
    SET status = 'lost'
    WHERE id = $1 AND user_id = app.user_id() AND status = 'active'
    RETURNING {columns}
    """,
    columns=_RING_COLUMNS,
)

report_found = query(
    Ring,
    """
    UPDATE rings
    SET status = 'active'
    WHERE id = $1 AND user_id = app.user_id() AND status = 'lost'
    RETURNING {columns}
    """,
    columns=_RING_COLUMNS,
)

revoke = query(
    Ring,
    """
    UPDATE rings
    SET status = 'revoked'
    WHERE id = $1 AND user_id = app.user_id() AND status IN ('active', 'lost')
    RETURNING {columns}
    """,
    columns=_RING_COLUMNS,
)

list_taps = query(
    Tap,
    """
    SELECT id, ring_id, gateway_id, kind, source, boot, seq, rssi, lat, lon, tapped_at,
        uncertainty_ms, time_source, verified, state, received_at
    FROM ring_taps
    WHERE user_id = app.user_id() AND ($1::uuid IS NULL OR id < $1::uuid)
        AND ($2::uuid IS NULL OR ring_id = $2::uuid)
    ORDER BY id DESC
    LIMIT $3
    """,
)

find_device = query(bytes, "SELECT device_id FROM rings WHERE id = $1 AND user_id = app.user_id()")


add_ring = command(
    """
    INSERT INTO rings (id, kind, device_id, nfc_uid_hash, claim_code_hash, key_id, tap_key, id_key)
    SELECT $1, 'dual', $2, $3, $4, 1, $5, $6
    WHERE NOT EXISTS (SELECT FROM rings WHERE nfc_uid_hash = ANY($7::bytea[]))
        AND NOT EXISTS (SELECT FROM rings WHERE claim_code_hash = ANY($8::bytea[]))
    ON CONFLICT DO NOTHING
    """,
    login="system",
)

find_stored_ring = query(
    StoredRing, "SELECT id, tap_key, id_key FROM rings WHERE device_id = $1", login="system"
)

give_ring = command(
    """
    UPDATE rings
    SET
        user_id = $2,
        label = $3,
        status = 'active',
        claimed_at = now(),
        claim_code_hash = NULL,
        key_version = key_version + 1
    WHERE id = $1 AND status = 'unclaimed'
    """,
    login="system",
)

add_gateway = command(
    """
    INSERT INTO gateways (id, user_id, name)
    VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING
    """,
    login="system",
)


class SunTap(Struct, frozen=True):
    """What became of a SUN link."""

    outcome: str
    tap_id: UUID | None
    ring_id: UUID | None
    owner: UUID | None


record_sun_tap = query(
    SunTap,
    "SELECT outcome, tap_id, ring_id, owner FROM app.record_sun_tap($1::bytea[], $2, $3, $4)",
    login="system",
)
