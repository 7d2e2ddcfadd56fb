"""SQL of kinds of relationships: one's own, and those of everybody."""

from uuid import UUID

from core.db import command, query
from hub.domains.relationship_types.schemas import TypeRow

list_types = query(
    TypeRow,
    """
    SELECT id, user_id IS NULL AS is_builtin, name, display_name,
        scoring_weights, decay_rate
    FROM relationship_types
    WHERE $1::uuid IS NULL OR id > $1::uuid
    ORDER BY id
    LIMIT $2
    """,
)

find_type = query(
    TypeRow,
    """
    SELECT id, user_id IS NULL AS is_builtin, name, display_name,
        scoring_weights, decay_rate
    FROM relationship_types
    WHERE id = $1
    """,
)

# Until the end of the transaction: two that add at the same time would count the same number.
lock_types = command("SELECT pg_advisory_xact_lock(hashtextextended(app.user_id()::text, 62))")

count_own_types = query(
    int, "SELECT count(*) FROM relationship_types WHERE user_id = app.user_id()"
)

has_type_named = query(
    bool,
    """
    SELECT EXISTS (
        SELECT FROM relationship_types
        WHERE name = $1 AND (user_id IS NULL OR user_id = app.user_id())
    )
    """,
)

add_type = query(
    UUID,
    """
    INSERT INTO relationship_types (name, display_name, scoring_weights, decay_rate)
    VALUES ($1, $2, $3, $4)
    RETURNING id
    """,
)

change_type = command(
    """
    UPDATE relationship_types
    SET display_name = coalesce($2, display_name),
        scoring_weights = coalesce($3::jsonb, scoring_weights),
        decay_rate = coalesce($4, decay_rate)
    WHERE id = $1 AND user_id = app.user_id()
    """
)

remove_type = command("DELETE FROM relationship_types WHERE id = $1 AND user_id = app.user_id()")

list_types_of_contact = query(
    TypeRow,
    """
    SELECT t.id, t.user_id IS NULL AS is_builtin, t.name, t.display_name,
        t.scoring_weights, t.decay_rate
    FROM contact_relationship_types AS c
    JOIN relationship_types AS t ON t.id = c.relationship_type_id
    WHERE c.user_id = app.user_id()
        AND c.contact_id = $1
        AND ($2::uuid IS NULL OR t.id > $2::uuid)
    ORDER BY t.id
    LIMIT $3
    """,
)

add_type_of_contact = command(
    """
    INSERT INTO contact_relationship_types (contact_id, type_owner_id, relationship_type_id)
    SELECT $1, t.owner_id, t.id
    FROM relationship_types AS t
    WHERE t.id = $2
    ON CONFLICT (user_id, contact_id, relationship_type_id) DO NOTHING
    """
)

remove_type_of_contact = command(
    """
    DELETE FROM contact_relationship_types
    WHERE user_id = app.user_id() AND contact_id = $1 AND relationship_type_id = $2
    """
)
