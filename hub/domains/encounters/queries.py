"""SQL of what the hub itself sees of people who meet and write; its own processes' only."""

from uuid import UUID

from core.db import command, query
from hub.domains.encounters.schemas import TalkPartner, Touched

# Whose two touches end at the same time has one contact of the other all the same.
lock_pair = command(
    "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(':', $1::uuid, $2::uuid), 17))",
    login="system",
)

find_touch = query(
    Touched,
    """
    SELECT id, user_id, partner_user_id, partner_card,
        coalesce(touched_at, created_at) AS touched_at
    FROM touches
    WHERE id = $1 AND user_id = $2 AND state = 'exchanged' AND partner_user_id IS NOT NULL
    """,
    login="system",
)

find_linked_contact = query(
    UUID,
    """
    SELECT id
    FROM contacts
    WHERE user_id = $1 AND linked_user_id = $2 AND merged_into_id IS NULL
    ORDER BY archived_at IS NOT NULL, id
    LIMIT 1
    """,
    login="system",
)

has_blocked = query(
    bool,
    "SELECT EXISTS (SELECT FROM blocks WHERE user_id = $1 AND blocked_id = $2)",
    login="system",
)

# Not one that is somebody else here already, nor oneself: two may share an address.
link_contact = query(
    UUID,
    """
    UPDATE contacts SET linked_user_id = $3, linked_by = 'ring'
    WHERE user_id = $1 AND id = $2 AND linked_user_id IS NULL AND NOT is_self
    RETURNING id
    """,
    login="system",
)

# Who the other is, to each member of a direct conversation, and as whom they stand in that member's
# address book.
talk_partners = query(
    TalkPartner,
    """
    SELECT me.user_id, (
        SELECT c.id
        FROM contacts AS c
        WHERE c.user_id = me.user_id
            AND c.linked_user_id = partner.user_id
            AND c.merged_into_id IS NULL
        ORDER BY c.archived_at IS NOT NULL, c.id
        LIMIT 1
    ) AS contact_id
    FROM conversations AS talk
    JOIN conversation_members AS me ON me.conversation_id = talk.id
    JOIN conversation_members AS partner
        ON partner.conversation_id = talk.id AND partner.user_id <> me.user_id
    WHERE talk.id = $1 AND talk.kind = 'direct'
    ORDER BY me.user_id
    """,
    login="system",
)
