"""SQL of taps on their way in; run as ping_system."""

from uuid import UUID

from core.db import command, query
from hub.domains.taps.schemas import SealedKeys, TapOutcome

ring_keys = query(
    SealedKeys,
    """
    SELECT id, device_id, key_version AS version, tap_key AS present,
        next_tap_key AS following, former_tap_key AS former, rotated_boot, rotated_seq
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

# The first tap under the next key: from now on the former one signs only what was tapped before.
turn_key = command(
    """
    UPDATE rings
    SET
        former_tap_key = tap_key,
        tap_key = next_tap_key,
        id_key = coalesce(next_id_key, id_key),
        next_tap_key = NULL,
        next_id_key = NULL,
        rotated_boot = $3,
        rotated_seq = $4,
        key_version = key_version + 1
    WHERE device_id = $1 AND key_version = $2 AND next_tap_key IS NOT NULL
    """,
    login="system",
)

# A tap under the new key that was overtaken by a later one.
turned_earlier = command(
    """
    UPDATE rings
    SET rotated_boot = $3, rotated_seq = $4, key_version = key_version + 1
    WHERE device_id = $1 AND key_version = $2 AND (rotated_boot, rotated_seq) > ($3, $4)
    """,
    login="system",
)

# A ring that still signs with the key from before its claim has missed the confirmation: whoever
# hears it brings it again, once a minute.
remind = command(
    """
    UPDATE ring_claims AS c
    SET gateway_id = $2, asked = asked + 1, asked_at = now()
    FROM rings AS r
    WHERE r.device_id = $1
        AND r.next_tap_key IS NOT NULL
        AND c.ring_id = r.id
        AND c.user_id = r.user_id
        AND c.status = 'done'
        AND c.confirmation IS NOT NULL
        AND (c.asked_at IS NULL OR c.asked_at < now() - interval '1 minute')
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

# Its owner has withdrawn the consent to keep it. Returns the last one of a batch.
forget_places = query(
    UUID,
    """
    WITH batch AS (
        SELECT id
        FROM ring_taps
        WHERE user_id = $1
            AND id > $3
            AND received_at <= $2
            AND (lat IS NOT NULL OR lon IS NOT NULL)
        ORDER BY id
        LIMIT $4
    ),
    forgotten AS (
        UPDATE ring_taps AS t
        SET lat = NULL, lon = NULL
        FROM batch
        WHERE t.id = batch.id
        RETURNING t.id
    )
    SELECT id
    FROM forgotten
    ORDER BY id DESC
    LIMIT 1
    """,
    login="system",
)
