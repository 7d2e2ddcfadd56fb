"""SQL of taps on their way in; run as ping_system."""

from core.db import command, query
from hub.domains.taps.schemas import RingKey, TapOutcome

ring_keys = query(
    RingKey,
    """
    SELECT id, device_id, tap_key
    FROM rings
    WHERE device_id = ANY($1::bytea[])
    """,
    login="system",
)

record_taps = query(
    TapOutcome,
    """
    SELECT position, outcome
    FROM app.record_taps($1::jsonb)
    """,
    login="system",
)

# Sent again after a crash of the gateway, a refused tap is kept once. The bound is per gateway: a
# hostile one fills its own share only.
keep_refused = command(
    """
    INSERT INTO rejected_taps (gateway_id, device_id, boot, seq, reason, raw)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE NOT EXISTS (
        SELECT FROM rejected_taps
        WHERE gateway_id = $1
        AND device_id = $2
        AND (boot, seq, raw) IS NOT DISTINCT FROM ($3, $4, $6)
    )
    AND (
        SELECT count(*) FROM (
            SELECT FROM rejected_taps WHERE gateway_id = $1 LIMIT $7
        ) AS kept
    ) < $7
    """,
    login="system",
)
