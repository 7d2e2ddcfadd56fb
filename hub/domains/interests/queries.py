"""SQL of interests; rows are fenced by owner."""

from uuid import UUID

from core.db import command, query
from hub.domains.interests.schemas import Interest, Known, ListedInterest, Support

list_of_contact = query(
    Interest,
    """
    SELECT
        id, contact_id, category, topic, confidence, evidence_count, first_detected_at,
        last_reinforced_at, decay_factor
    FROM interests
    WHERE user_id = app.user_id() AND contact_id = $1
        AND ($2::float8 IS NULL OR (confidence, id) < ($2::float8, $3::uuid))
    ORDER BY confidence DESC, id DESC
    LIMIT $4
    """,
)

list_of_category = query(
    ListedInterest,
    """
    SELECT
        i.id, i.contact_id, c.full_name, i.category, i.topic, i.confidence, i.evidence_count,
        i.last_reinforced_at
    FROM interests AS i
    JOIN contacts AS c
        ON c.user_id = i.user_id AND c.id = i.contact_id
        AND c.archived_at IS NULL AND c.merged_into_id IS NULL
    WHERE i.user_id = app.user_id() AND i.category = $1
        AND ($2::text IS NULL OR i.topic = $2::text)
        AND ($3::float8 IS NULL OR (i.confidence, i.id) < ($3::float8, $4::uuid))
    ORDER BY i.confidence DESC, i.id DESC
    LIMIT $5
    """,
)

find_interest = query(
    Interest,
    """
    SELECT
        id, contact_id, category, topic, confidence, evidence_count, first_detected_at,
        last_reinforced_at, decay_factor
    FROM interests
    WHERE user_id = $1 AND contact_id = $2 AND category = $3 AND topic = $4
    """,
)

find_known = query(
    Known,
    """
    SELECT confidence, decay_factor, extract(epoch FROM now() - decayed_at)::float8 AS faded_seconds
    FROM interests
    WHERE user_id = app.user_id() AND contact_id = $1 AND id = $2
    FOR NO KEY UPDATE
    """,
)

put_interest = query(
    UUID,
    """
    INSERT INTO interests (user_id, contact_id, category, topic, confidence, decay_factor)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (user_id, contact_id, category, topic) DO UPDATE
    SET confidence = excluded.confidence, decay_factor = excluded.decay_factor,
        last_reinforced_at = now(), decayed_at = now()
    RETURNING id
    """,
)

reinforce = command(
    """
    UPDATE interests
    SET confidence = $2, evidence_count = evidence_count + 1, last_reinforced_at = now(),
        decayed_at = now()
    WHERE user_id = app.user_id() AND id = $1
    """
)

# As far as it may be seen, and it stays until the end.
find_interaction = query(
    UUID, "SELECT id FROM interactions WHERE user_id = app.user_id() AND id = $1 FOR KEY SHARE"
)

# Nothing where it is known.
add_support = query(
    UUID,
    """
    INSERT INTO evidence (subject_type, subject_id, interaction_id)
    VALUES ('interest', $1, $2)
    ON CONFLICT DO NOTHING
    RETURNING interaction_id
    """,
)

list_support = query(
    Support,
    """
    SELECT e.interaction_id
    FROM evidence AS e
    -- As far as they may be seen: private ones show to the person alone.
    JOIN interactions AS s ON s.user_id = e.user_id AND s.id = e.interaction_id
    JOIN interests AS i
        ON i.user_id = e.user_id AND i.id = e.subject_id AND i.contact_id = $1
    WHERE e.user_id = app.user_id() AND e.subject_type = 'interest' AND e.subject_id = $2
        AND ($3::uuid IS NULL OR e.interaction_id < $3::uuid)
    ORDER BY e.interaction_id DESC
    LIMIT $4
    """,
)

find_own = query(
    Interest,
    """
    SELECT
        id, contact_id, category, topic, confidence, evidence_count, first_detected_at,
        last_reinforced_at, decay_factor
    FROM interests
    WHERE user_id = app.user_id() AND contact_id = $1 AND id = $2
    """,
)

remove_interest = query(
    UUID,
    """
    DELETE FROM interests
    WHERE user_id = app.user_id() AND contact_id = $1 AND id = $2
    RETURNING id
    """,
)

# rules.faded, for many rows at once; a test compares them.
fade = query(
    UUID,
    """
    WITH due AS (
        SELECT id FROM interests
        WHERE decayed_at < now() - interval '1 day'
        ORDER BY decayed_at, id
        LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE interests AS i
    SET confidence =
            CASE
                WHEN i.confidence < 1e-9 THEN 0
                ELSE i.confidence * power(
                    i.decay_factor,
                    extract(epoch FROM now() - i.decayed_at)::float8 / (30 * 24 * 3600.0)
                )
            END,
        decayed_at = now()
    FROM due
    WHERE i.id = due.id
    RETURNING i.id
    """,
    login="system",
)
