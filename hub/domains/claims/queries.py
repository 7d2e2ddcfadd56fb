"""SQL of claims. Run as ping_system with the claimer as the actor: keys are never ping_api's."""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.claims.schemas import ClaimRow, ClaimView, GatewayErrand, RingRow

_RING_COLUMNS: Final = (
    "id, user_id, kind, status, device_id, nfc_uid_hash, key_id, tap_key, id_key, next_tap_key, "
    "next_id_key"
)

# What a claim sets, by whichever proof.
_TAKEN: Final = (
    "user_id = app.user_id(), label = $2, status = 'active', claimed_at = now(), "
    "claim_code_hash = NULL, key_version = key_version + 1"
)

find_claimable = query(
    RingRow,
    """
    SELECT {columns}
    FROM rings
    WHERE claim_code_hash = ANY($1::bytea[]) AND status = 'unclaimed'
    """,
    columns=_RING_COLUMNS,
    login="system",
)

# What was answered and lost is answered again.
find_by_code = query(
    UUID,
    """
    SELECT id
    FROM ring_claims
    WHERE user_id = app.user_id()
        AND code_hash = $1
        AND (status = 'done' OR (status = 'open' AND expires_at > now()))
    ORDER BY id DESC
    LIMIT 1
    """,
    login="system",
)

count_refused = query(
    int,
    """
    SELECT count(*)
    FROM ring_claims
    WHERE user_id = app.user_id()
        AND ring_id = $1
        AND status = 'refused'
        AND created_at > now() - interval '1 hour'
    """,
    login="system",
)

drop_expired = command(
    """
    DELETE FROM ring_claims
    WHERE user_id = app.user_id() AND ring_id = $1 AND status = 'open' AND expires_at <= now()
    """,
    login="system",
)

add_claim = command(
    """
    INSERT INTO ring_claims (
        id, user_id, ring_id, code_hash, label, nonce, hub_public_key, hub_private_key, expires_at
    )
    VALUES ($1, app.user_id(), $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
    ON CONFLICT (user_id, ring_id) WHERE status = 'open' DO NOTHING
    """,
    login="system",
)

find_claim = query(
    ClaimView,
    """
    SELECT c.id, c.status, c.label, r.kind, r.tap_key IS NOT NULL AS has_tap_key,
        r.nfc_uid_hash IS NOT NULL AND r.key_id IS NOT NULL AS has_sun_keys,
        c.nonce, c.hub_public_key, c.ring_id, c.gateway_id, c.gateway_code, c.expires_at
    FROM ring_claims AS c
    JOIN rings AS r ON r.id = c.ring_id
    WHERE c.id = $1 AND c.user_id = app.user_id()
    """,
    login="system",
)

lock_claim = query(
    ClaimRow,
    """
    SELECT id, user_id, ring_id, label, status, expires_at <= now() AS is_expired, nonce,
        hub_public_key, hub_private_key, attempts, proof_hash, confirmation
    FROM ring_claims
    WHERE id = $1 AND user_id = app.user_id()
    FOR UPDATE
    """,
    login="system",
)

# After the claim and before its change: of two claims of one ring the second sees the first's work.
lock_ring = query(
    RingRow,
    """
    SELECT {columns}
    FROM rings
    WHERE id = $1
    FOR NO KEY UPDATE
    """,
    columns=_RING_COLUMNS,
    login="system",
)

count_attempt = command(
    """
    UPDATE ring_claims
    SET
        attempts = attempts + 1,
        status = CASE WHEN attempts + 1 >= $2 THEN 'refused' ELSE status END,
        hub_private_key = CASE WHEN attempts + 1 >= $2 THEN NULL ELSE hub_private_key END
    WHERE id = $1
    """,
    login="system",
)

finish_claim = command(
    """
    UPDATE ring_claims
    SET status = 'done', hub_private_key = NULL, proof_hash = $2, confirmation = $3
    WHERE id = $1
    """,
    login="system",
)

# The keys that a ring proved to use stay good until its first tap under the next ones.
take_by_key = query(
    UUID,
    """
    UPDATE rings
    SET
        {columns},
        verified = true,
        tap_key = CASE WHEN $3 THEN next_tap_key ELSE tap_key END,
        id_key = CASE WHEN $3 THEN next_id_key ELSE id_key END,
        next_tap_key = $4,
        next_id_key = $5,
        former_tap_key = NULL,
        rotated_boot = NULL,
        rotated_seq = NULL,
        claimed_boot = $6,
        claimed_seq = $7
    WHERE id = $1 AND status = 'unclaimed'
    RETURNING id
    """,
    columns=_TAKEN,
    login="system",
)

take_by_sun = query(
    UUID,
    """
    UPDATE rings
    SET
        {columns},
        verified = true,
        sun_counter = $3
    WHERE id = $1 AND status = 'unclaimed' AND sun_counter < $3
    RETURNING id
    """,
    columns=_TAKEN,
    login="system",
)

take_by_code = query(
    UUID,
    """
    UPDATE rings
    SET
        {columns}
    WHERE id = $1 AND status = 'unclaimed'
    RETURNING id
    """,
    columns=_TAKEN,
    login="system",
)

find_own_gateway = query(
    str,
    """
    SELECT status
    FROM gateways
    WHERE id = $1 AND user_id = app.user_id() AND revoked_at IS NULL
    """,
    login="system",
)

# Not while one is at it: each call holds a worker for as long as the gateway takes to answer.
ask_gateway = query(
    UUID,
    """
    UPDATE ring_claims
    SET gateway_id = $2, asked = asked + 1, asked_at = now(), gateway_code = NULL
    WHERE id = $1
        AND user_id = app.user_id()
        AND (status = 'done' OR (status = 'open' AND expires_at > now()))
        AND (
            asked_at IS NULL
            OR gateway_code IS NOT NULL
            OR asked_at < now() - make_interval(secs => $3)
        )
    RETURNING id
    """,
    login="system",
)

is_being_asked = query(
    bool,
    """
    SELECT EXISTS (
        SELECT FROM ring_claims
        WHERE id = $1
            AND user_id = app.user_id()
            AND (status = 'done' OR (status = 'open' AND expires_at > now()))
            AND asked_at IS NOT NULL
    )
    """,
    login="system",
)

find_errand = query(
    GatewayErrand,
    """
    SELECT c.id AS claim_id, c.user_id, r.device_id, c.nonce, c.hub_public_key, c.confirmation
    FROM ring_claims AS c
    JOIN rings AS r ON r.id = c.ring_id AND r.device_id IS NOT NULL
    WHERE c.id = $1
        AND (
            (c.status = 'open' AND c.expires_at > now())
            OR (c.status = 'done' AND r.user_id = c.user_id AND r.next_tap_key IS NOT NULL)
        )
    """,
    login="system",
)

note_gateway = command(
    "UPDATE ring_claims SET gateway_code = $2 WHERE id = $1 AND gateway_code IS DISTINCT FROM $2",
    login="system",
)

# A confirmation that its ring may still need is kept, however long the ring stays away.
purge = command(
    """
    DELETE FROM ring_claims
    WHERE id IN (
        SELECT c.id
        FROM ring_claims AS c
        WHERE c.expires_at < now() - interval '1 day'
            AND NOT (
                c.status = 'done'
                AND EXISTS (
                    SELECT FROM rings AS r
                    WHERE r.id = c.ring_id
                        AND r.user_id = c.user_id
                        AND r.next_tap_key IS NOT NULL
                )
            )
        LIMIT $1
    )
    """,
    login="system",
)

lock_own_ring = query(
    RingRow,
    """
    SELECT {columns}
    FROM rings
    WHERE id = $1 AND user_id = app.user_id()
    FOR NO KEY UPDATE
    """,
    columns=_RING_COLUMNS,
    login="system",
)

release_ring = command(
    """
    UPDATE rings
    SET
        status = 'released',
        device_id = NULL,
        nfc_uid_hash = NULL,
        claim_code_hash = NULL,
        tap_key = NULL,
        id_key = NULL,
        next_tap_key = NULL,
        next_id_key = NULL,
        former_tap_key = NULL,
        key_version = key_version + 1
    WHERE id = $1
    """,
    login="system",
)

# The device goes on with its counters: what was used once stays used under any owner.
add_released = command(
    """
    INSERT INTO rings (
        id, kind, device_id, nfc_uid_hash, claim_code_hash, key_id, tap_key, id_key,
        next_tap_key, next_id_key, key_version, sun_counter, last_boot, last_seq,
        firmware_version, battery_pct
    )
    SELECT $2, kind, $3, $4, $5, key_id, $6, $7, $8, $9, key_version, sun_counter,
        last_boot, last_seq, firmware_version, battery_pct
    FROM rings
    WHERE id = $1
    """,
    login="system",
)

find_released = query(
    bool,
    """
    SELECT true
    FROM rings
    WHERE claim_code_hash = ANY($1::bytea[])
        AND status = 'unclaimed'
        AND created_at > now() - make_interval(secs => $2)
    """,
    login="system",
)
