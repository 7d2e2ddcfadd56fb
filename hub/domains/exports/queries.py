"""SQL of exports: a user's own contacts, page by page."""

from core.db import query
from hub.domains.exports.schemas import StoredContact, StoredMethod

list_contacts = query(
    StoredContact,
    """
    SELECT
        id, full_name, first_name, last_name, company, job_title, linkedin_url, location, bio,
        notes, birthday, tags
    FROM contacts
    WHERE user_id = app.user_id()
    AND ($1::uuid IS NULL OR id > $1)
    AND NOT is_self
    AND merged_into_id IS NULL
    AND ($2 OR archived_at IS NULL)
    ORDER BY id
    LIMIT $3
    """,
)

list_methods = query(
    StoredMethod,
    """
    SELECT id, contact_id, kind, value, label, is_primary
    FROM contact_methods
    WHERE user_id = app.user_id() AND contact_id = ANY($1::uuid[])
    ORDER BY contact_id, kind, is_primary DESC, id
    """,
)

count_kinds = query(
    int,
    """
    SELECT coalesce(max(t.many), 0)::int
    FROM (
        SELECT count(*) AS many
        FROM contact_methods AS m
        JOIN contacts AS c ON c.user_id = m.user_id AND c.id = m.contact_id
        WHERE m.user_id = app.user_id()
        AND m.kind = ANY($1::text[])
        AND NOT c.is_self AND c.merged_into_id IS NULL AND ($2 OR c.archived_at IS NULL)
        GROUP BY m.contact_id
    ) AS t
    """,
)
