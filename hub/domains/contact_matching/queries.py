"""SQL of matching contacts to users; what needs both sides' consent is in definer functions."""

from uuid import UUID

from core.db import command, query
from hub.domains.contact_matching.schemas import StoredAddress

list_addresses = query(
    StoredAddress,
    """
    SELECT m.id, m.contact_id, m.kind, m.value
    FROM contact_methods AS m
    JOIN contacts AS c
        ON c.user_id = m.user_id AND c.id = m.contact_id AND c.linked_user_id IS NULL
        AND NOT c.is_self AND c.merged_into_id IS NULL
    WHERE m.user_id = app.user_id() AND m.contact_id = ANY($1::uuid[])
        AND m.kind IN ('email', 'phone')
    ORDER BY m.contact_id, m.id
    """,
)

link_matched = query(UUID, "SELECT app.link_matched($1, $2)")

unlink = query(
    UUID,
    """
    UPDATE contacts SET linked_user_id = NULL
    WHERE user_id = app.user_id() AND id = $1
    RETURNING id
    """,
)

# In both directions; whose rings have touched know each other without.
unlink_matched = command(
    """
    UPDATE contacts SET linked_user_id = NULL
    WHERE linked_by = 'match' AND (user_id = $1 OR linked_user_id = $1)
    """,
    login="system",
)
