"""SQL of contacts' addresses; rows are fenced by owner.

Statements that also run for others, in a system transaction, name the owner.
"""

from core.db import command, query
from hub.domains.contacts.schemas import MethodRow

list_methods = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2
    ORDER BY kind, is_primary DESC, id
    """,
)

insert_method = command(
    """
    INSERT INTO contact_methods (
        id, user_id, contact_id, kind, value, value_hash, label, is_primary, source
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    """
)

find_method = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    """,
)

find_known_method = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND kind = $3 AND value_hash = ANY($4::bytea[])
    """,
)

count_methods = query(
    int, "SELECT count(*) FROM contact_methods WHERE user_id = $1 AND contact_id = $2"
)

unset_primary = command(
    """
    UPDATE contact_methods SET is_primary = false
    WHERE user_id = $1 AND contact_id = $2 AND kind = $3 AND is_primary AND id <> $4
    """
)

change_method = command(
    """
    UPDATE contact_methods SET label = $4, is_primary = $5
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    """
)

remove_method = query(
    str,
    """
    DELETE FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    RETURNING kind
    """,
)

# Of the addresses of a kind one is the primary one, as long as there is any; $4 only as the last.
choose_primary = command(
    """
    UPDATE contact_methods AS m SET is_primary = true
    WHERE m.id = (
        SELECT o.id FROM contact_methods AS o
        WHERE o.user_id = $1 AND o.contact_id = $2 AND o.kind = $3
        ORDER BY o.is_primary DESC, o.id IS NOT DISTINCT FROM $4::uuid, o.id
        LIMIT 1
    ) AND NOT m.is_primary
    """
)
