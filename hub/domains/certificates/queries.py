"""SQL of certificates and claim codes of gateways."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from core.db import command, query
from hub.domains.certificates.schemas import Certificate, Issued, RevokedCertificate

new_code = query(datetime, "SELECT app.new_gateway_code($1, $2, $3)")

revoke = query(str, "SELECT app.revoke_gateway($1)::text")

owns_gateway = query(
    bool, "SELECT EXISTS (SELECT FROM gateways WHERE id = $1 AND user_id = app.user_id())"
)

list_certificates = query(
    Certificate,
    """
    SELECT id, serial, encode(fingerprint, 'hex') AS fingerprint, not_before, not_after,
        superseded_at, revoked_at, revoked_reason, created_at
    FROM gateway_certificates
    WHERE user_id = app.user_id() AND gateway_id = $1 AND ($2::uuid IS NULL OR id < $2::uuid)
    ORDER BY id DESC
    LIMIT $3
    """,
)


class Claimable(Struct, frozen=True):
    """A gateway that a code stands for."""

    id: UUID
    user_id: UUID
    claim_key_hash: bytes | None
    """Of the key that has used the code."""


# Locked: of two devices that use one code at the same time the second sees what the first did.
lock_claim = query(
    Claimable,
    """
    SELECT id, user_id, claim_key_hash
    FROM gateways
    WHERE claim_hash = $1
        AND claim_expires_at > now()
        AND revoked_at IS NULL
        AND user_id IS NOT NULL
    FOR NO KEY UPDATE
    """,
    login="system",
)


class Renewable(Struct, frozen=True):
    """A gateway that asks for its next certificate."""

    id: UUID
    user_id: UUID
    in_use_until_ms: int | None
    """The end of the certificate that it last said to use."""


lock_gateway = query(
    Renewable,
    """
    SELECT id, user_id, (health ->> 'certificate_expires_ms')::bigint AS in_use_until_ms
    FROM gateways
    WHERE id = $1 AND revoked_at IS NULL AND user_id IS NOT NULL
    FOR NO KEY UPDATE
    """,
    login="system",
)

valid_certificates = query(
    Issued,
    """
    SELECT public_key_hash, certificate, not_before, not_after, created_at
    FROM gateway_certificates
    WHERE user_id = $1 AND gateway_id = $2 AND revoked_at IS NULL AND superseded_at IS NULL
    ORDER BY id DESC
    """,
    login="system",
)

insert_certificate = command(
    """
    INSERT INTO gateway_certificates (
      user_id, gateway_id, serial, fingerprint, public_key_hash, certificate, not_before, not_after
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """,
    login="system",
)

replace_certificates = command(
    """
    UPDATE gateway_certificates
    SET revoked_at = now(), revoked_reason = 'replaced'
    WHERE user_id = $1 AND gateway_id = $2 AND revoked_at IS NULL
    """,
    login="system",
)

note_certificate = command("UPDATE gateways SET cert_expires_at = $2 WHERE id = $1", login="system")

# After note_certificate: the event of the claim shows how long the certificate holds.
note_claim = command(
    """
    UPDATE gateways
    SET claim_key_hash = $2, claimed_at = now()
    WHERE id = $1
    """,
    login="system",
)

# Not before the gateway itself says, in its health messages, that it uses a newer one: a gateway
# that was off since it asked has only the old one to come back with.
supersede = command(
    """
    UPDATE gateway_certificates AS old
    SET superseded_at = now()
    FROM gateways AS g
    WHERE g.user_id = old.user_id
        AND g.id = old.gateway_id
        AND old.revoked_at IS NULL
        AND old.superseded_at IS NULL
        AND EXISTS (
            SELECT
            FROM gateway_certificates AS new
            WHERE new.user_id = old.user_id
                AND new.gateway_id = old.gateway_id
                AND new.id > old.id
                AND new.revoked_at IS NULL
                AND new.created_at <= now() - make_interval(hours => $1)
                AND extract(epoch FROM new.not_after) * 1000
                    <= (g.health ->> 'certificate_expires_ms')::bigint
        )
    """,
    login="system",
)

# Those of gateways that are gone count too. Brokers' clocks may be a day behind.
list_revoked = query(
    RevokedCertificate,
    """
    SELECT serial, coalesce(revoked_at, superseded_at, created_at) AS ended_at,
        revoked_at IS NULL AND superseded_at IS NOT NULL AS is_superseded
    FROM gateway_certificates
    WHERE not_after > now() - make_interval(days => 1)
        AND (revoked_at IS NOT NULL OR superseded_at IS NOT NULL OR gateway_id IS NULL)
    ORDER BY id
    """,
    login="system",
)

list_number = query(
    int, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", login="system"
)


class Figures(Struct, frozen=True):
    """How many certificates there are, by what they are worth."""

    valid: int
    ends_within_week: int
    ended: int
    superseded: int
    revoked: int


count_certificates = query(
    Figures,
    """
    SELECT
      count(*) FILTER (WHERE is_valid AND not_after > now()) AS valid,
      count(*) FILTER (
        WHERE is_valid AND not_after > now() AND not_after <= now() + make_interval(days => 7)
      ) AS ends_within_week,
      count(*) FILTER (WHERE is_valid AND not_after <= now()) AS ended,
      count(*) FILTER (WHERE revoked_at IS NULL AND superseded_at IS NOT NULL) AS superseded,
      count(*) FILTER (WHERE revoked_at IS NOT NULL OR gateway_id IS NULL) AS revoked
    FROM gateway_certificates
    CROSS JOIN LATERAL (
      SELECT revoked_at IS NULL AND superseded_at IS NULL AND gateway_id IS NOT NULL
    ) AS v (is_valid)
    """,
    login="system",
)
