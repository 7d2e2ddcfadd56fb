"""SQL of circles and their members; rows are fenced by owner."""

from uuid import UUID

from core.db import command, query
from hub.domains.circles.schemas import Circle, CircleMembership, Member

list_circles = query(
    Circle,
    """
    SELECT id, name, tier, cadence_days, color, position, created_at, updated_at
    FROM circles
    WHERE user_id = app.user_id()
        AND ($1::int IS NULL OR (tier, position, id) > ($1::int, $2::int, $3::uuid))
    ORDER BY tier, position, id
    LIMIT $4
    """,
)

find_circle = query(
    Circle,
    """
    SELECT id, name, tier, cadence_days, color, position, created_at, updated_at
    FROM circles
    WHERE user_id = app.user_id() AND id = $1
    """,
)

# Until the end of the transaction: two that add at the same time would count the same number, and
# whoever removes one would wait for contacts that a merge holds, which waits for the circle.
lock_circles = command("SELECT pg_advisory_xact_lock(hashtextextended(app.user_id()::text, 61))")

count_circles = query(int, "SELECT count(*) FROM circles WHERE user_id = app.user_id()")

add_circle = query(
    UUID,
    """
    INSERT INTO circles (name, tier, cadence_days, color, position)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING id
    """,
)

change_circle = command(
    """
    UPDATE circles
    SET name = $2, tier = $3, cadence_days = $4, color = $5, position = $6
    WHERE user_id = app.user_id() AND id = $1
    """
)

remove_circle = command("DELETE FROM circles WHERE user_id = app.user_id() AND id = $1")

list_members = query(
    Member,
    """
    SELECT m.contact_id, c.full_name, m.is_primary, m.created_at
    FROM circle_members AS m
    JOIN contacts AS c ON c.user_id = m.user_id AND c.id = m.contact_id
    WHERE m.user_id = app.user_id()
        AND m.circle_id = $1
        AND c.archived_at IS NULL
        AND ($2::uuid IS NULL OR m.contact_id > $2::uuid)
    ORDER BY m.contact_id
    LIMIT $3
    """,
)

list_memberships = query(
    CircleMembership,
    """
    SELECT c.id AS circle_id, c.name, c.tier, c.cadence_days, m.is_primary
    FROM circle_members AS m
    JOIN circles AS c ON c.user_id = m.user_id AND c.id = m.circle_id
    WHERE m.user_id = app.user_id()
        AND m.contact_id = $1
        AND ($2::uuid IS NULL OR m.circle_id > $2::uuid)
    ORDER BY m.circle_id
    LIMIT $3
    """,
)

# Everybody takes locks in one order: all circles, one circle, contacts by id, members. A merge
# learns of circles only by its contacts, and so holds all of them first.
keep_circle = query(
    UUID, "SELECT id FROM circles WHERE user_id = app.user_id() AND id = $1 FOR KEY SHARE"
)

lock_circle = query(
    UUID, "SELECT id FROM circles WHERE user_id = app.user_id() AND id = $1 FOR UPDATE"
)

lock_contact = query(
    UUID,
    "SELECT id FROM contacts WHERE user_id = app.user_id() AND id = $1 FOR NO KEY UPDATE",
)

lock_members = query(
    UUID,
    """
    SELECT c.id
    FROM circle_members AS m
    JOIN contacts AS c ON c.user_id = m.user_id AND c.id = m.contact_id
    WHERE m.user_id = app.user_id() AND m.circle_id = $1
    ORDER BY c.id
    FOR NO KEY UPDATE OF c
    """,
)

add_member = command(
    """
    INSERT INTO circle_members (circle_id, contact_id)
    VALUES ($1, $2)
    ON CONFLICT (user_id, circle_id, contact_id) DO NOTHING
    """
)

set_primary = query(str, "SELECT app.set_primary_circle($1, $2)::text")

remove_member = command(
    """
    DELETE FROM circle_members
    WHERE user_id = app.user_id() AND circle_id = $1 AND contact_id = $2
    """
)

# The closest first: if it was in none, that becomes its primary one.
join_circles_of = query(
    UUID,
    """
    INSERT INTO circle_members (circle_id, contact_id)
    SELECT c.id, $2
    FROM circle_members AS m
    JOIN circles AS c ON c.user_id = m.user_id AND c.id = m.circle_id
    WHERE m.user_id = app.user_id() AND m.contact_id = $1
    ORDER BY c.tier, c.position, c.id
    ON CONFLICT (user_id, circle_id, contact_id) DO NOTHING
    RETURNING circle_id
    """,
)

leave_circles = command(
    """
    DELETE FROM circle_members
    WHERE user_id = app.user_id() AND contact_id = $1 AND circle_id = ANY($2::uuid[])
    """
)
