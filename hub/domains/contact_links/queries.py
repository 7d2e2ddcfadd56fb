"""SQL of links between contacts; rows are fenced by owner."""

from uuid import UUID

from core.db import query
from hub.domains.contact_links.schemas import Link, Mutual

# Both ends, of whom neither was merged away; with all other ends, or with $5 alone.
list_links = query(
    Link,
    """
    WITH ends AS (
        SELECT contact_b_id AS other_id, kind, strength, detected_at, updated_at
        FROM contact_links
        WHERE user_id = app.user_id() AND contact_a_id = $1
        UNION ALL
        SELECT contact_a_id, kind, strength, detected_at, updated_at
        FROM contact_links
        WHERE user_id = app.user_id() AND contact_b_id = $1
    )
    SELECT
        e.other_id AS contact_id, c.full_name, e.kind, e.strength,
        (
            SELECT count(*)::int
            FROM contact_links AS l
            JOIN ends AS m
                ON m.other_id = CASE e.other_id
                    WHEN l.contact_a_id THEN l.contact_b_id
                    ELSE l.contact_a_id
                END
            JOIN contacts AS k
                ON k.user_id = app.user_id() AND k.id = m.other_id AND k.merged_into_id IS NULL
            WHERE l.user_id = app.user_id() AND e.other_id IN (l.contact_a_id, l.contact_b_id)
        ) AS mutuals,
        e.detected_at, e.updated_at
    FROM ends AS e
    JOIN contacts AS c
        ON c.user_id = app.user_id() AND c.id = e.other_id AND c.merged_into_id IS NULL
    WHERE ($2::float8 IS NULL OR (e.strength, e.other_id) < ($2::float8, $3::uuid))
        AND ($5::uuid IS NULL OR e.other_id = $5::uuid)
    ORDER BY e.strength DESC, e.other_id DESC
    LIMIT $4
    """,
)

list_mutuals = query(
    Mutual,
    """
    WITH first AS (
        SELECT CASE $1::uuid WHEN contact_a_id THEN contact_b_id ELSE contact_a_id END AS id
        FROM contact_links
        WHERE user_id = app.user_id() AND $1::uuid IN (contact_a_id, contact_b_id)
    ), second AS (
        SELECT CASE $2::uuid WHEN contact_a_id THEN contact_b_id ELSE contact_a_id END AS id
        FROM contact_links
        WHERE user_id = app.user_id() AND $2::uuid IN (contact_a_id, contact_b_id)
    )
    SELECT c.id AS contact_id, c.full_name, c.company
    FROM first
    JOIN second USING (id)
    JOIN contacts AS c
        ON c.user_id = app.user_id() AND c.id = first.id AND c.merged_into_id IS NULL
    WHERE $3::uuid IS NULL OR c.id > $3::uuid
    ORDER BY c.id
    LIMIT $4
    """,
)

put_link = query(
    UUID,
    """
    INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind, strength)
    VALUES ($1, least($2::uuid, $3::uuid), greatest($2::uuid, $3::uuid), $4, $5)
    ON CONFLICT (user_id, contact_a_id, contact_b_id) DO UPDATE
    SET kind = excluded.kind, strength = excluded.strength
    RETURNING id
    """,
)

remove_link = query(
    UUID,
    """
    DELETE FROM contact_links
    WHERE user_id = app.user_id()
        AND contact_a_id = least($1::uuid, $2::uuid)
        AND contact_b_id = greatest($1::uuid, $2::uuid)
    RETURNING id
    """,
)
