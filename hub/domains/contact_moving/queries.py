"""SQL of rows that move from a contact to another one; they are fenced by owner."""

from uuid import UUID

from msgspec import Raw

from core.db import command, query

move_rows = query(Raw, "SELECT app.move_contact_rows($1, $2, $3, $4, $5, $6)")

# Of each kind the kept contact has one primary address, or gets that of the other.
lower_methods = query(
    UUID,
    """
    UPDATE contact_methods AS m SET is_primary = false
    WHERE m.user_id = app.user_id() AND m.contact_id = $1 AND m.is_primary
        AND EXISTS (
            SELECT FROM contact_methods AS k
            WHERE k.user_id = app.user_id() AND k.contact_id = $2 AND k.kind = m.kind
                AND k.is_primary
        )
    RETURNING m.id
    """,
)

# As they were, unless another one has become the primary one meanwhile.
raise_methods = command(
    """
    UPDATE contact_methods AS m SET is_primary = true
    WHERE m.user_id = app.user_id() AND m.contact_id = $1 AND m.id = ANY($2::uuid[])
        AND NOT EXISTS (
            SELECT FROM contact_methods AS k
            WHERE k.user_id = app.user_id() AND k.contact_id = $1 AND k.kind = m.kind
                AND k.is_primary
        )
    """
)

# Whoever has addresses of a kind has a primary one.
settle_methods = command(
    """
    UPDATE contact_methods AS m SET is_primary = true
    WHERE m.id IN (
        SELECT DISTINCT ON (o.kind) o.id
        FROM contact_methods AS o
        WHERE o.user_id = app.user_id() AND o.contact_id = $1
        ORDER BY o.kind, o.is_primary DESC, o.id
    ) AND NOT m.is_primary
    """
)

# What both care about: the kept contact's row takes the other's signs; the other's stays as it is.
fold_interests = query(
    Raw,
    """
    WITH folded AS (
        UPDATE interests AS k
        SET confidence = greatest(k.confidence, m.confidence),
            evidence_count = k.evidence_count + m.evidence_count,
            first_detected_at = least(k.first_detected_at, m.first_detected_at),
            last_reinforced_at = greatest(k.last_reinforced_at, m.last_reinforced_at)
        FROM interests AS m
        WHERE k.user_id = app.user_id() AND k.contact_id = $2
            AND m.user_id = app.user_id() AND m.contact_id = $1
            AND (m.category, m.topic) = (k.category, k.topic)
        RETURNING
            new.id, old.confidence, new.confidence AS folded_confidence,
            m.evidence_count AS added, old.first_detected_at, old.last_reinforced_at,
            new.last_reinforced_at AS folded_reinforced_at
    )
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM folded AS f
    """,
)

# Signs that came since stay; what has faded since has faded from the folded value.
unfold_interests = command(
    """
    UPDATE interests AS k
    SET confidence =
            CASE k.confidence WHEN f.folded_confidence THEN f.confidence ELSE k.confidence END,
        evidence_count = greatest(1, k.evidence_count - f.added),
        first_detected_at = f.first_detected_at,
        last_reinforced_at =
            CASE k.last_reinforced_at
                WHEN f.folded_reinforced_at THEN f.last_reinforced_at
                ELSE k.last_reinforced_at
            END
    FROM jsonb_to_recordset($1) AS f (
        id uuid, confidence float8, folded_confidence float8, added int,
        first_detected_at timestamptz, last_reinforced_at timestamptz,
        folded_reinforced_at timestamptz
    )
    WHERE k.user_id = app.user_id() AND k.id = f.id
    """
)

# Whom both know: the kept contact's link takes what the other's has; the other's stays as it is.
fold_links = query(
    Raw,
    """
    WITH ends AS (
        SELECT
            CASE contact_a_id WHEN $1::uuid THEN contact_b_id ELSE contact_a_id END AS other_id,
            strength
        FROM contact_links
        WHERE user_id = app.user_id() AND $1::uuid IN (contact_a_id, contact_b_id)
    ), folded AS (
        UPDATE contact_links AS k
        SET strength = greatest(k.strength, e.strength)
        FROM ends AS e
        WHERE k.user_id = app.user_id()
            AND k.contact_a_id = least($2::uuid, e.other_id)
            AND k.contact_b_id = greatest($2::uuid, e.other_id)
            AND e.other_id <> $2
        RETURNING new.id, old.strength, new.strength AS folded_strength
    )
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM folded AS f
    """,
)

unfold_links = command(
    """
    UPDATE contact_links AS k
    SET strength = CASE k.strength WHEN f.folded_strength THEN f.strength ELSE k.strength END
    FROM jsonb_to_recordset($1) AS f (id uuid, strength float8, folded_strength float8)
    WHERE k.user_id = app.user_id() AND k.id = f.id
    """
)

# Those with each other, and with whom the kept contact knows already, stay.
move_links = query(
    UUID,
    """
    UPDATE contact_links AS l
    SET contact_a_id = least($2::uuid, e.other_id), contact_b_id = greatest($2::uuid, e.other_id)
    FROM (
        SELECT
            o.id, CASE o.contact_a_id WHEN $1::uuid THEN o.contact_b_id ELSE o.contact_a_id END
                AS other_id
        FROM contact_links AS o
        WHERE o.user_id = app.user_id() AND $1::uuid IN (o.contact_a_id, o.contact_b_id)
    ) AS e
    WHERE l.user_id = app.user_id() AND l.id = e.id AND e.other_id <> $2
        AND ($3::uuid[] IS NULL OR l.id = ANY($3::uuid[]))
        AND NOT EXISTS (
            SELECT FROM contact_links AS k
            WHERE k.user_id = app.user_id()
                AND k.contact_a_id = least($2::uuid, e.other_id)
                AND k.contact_b_id = greatest($2::uuid, e.other_id)
        )
    RETURNING l.id
    """,
)
