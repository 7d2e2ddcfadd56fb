"""SQL of participants; rows are fenced by owner, and those of what is private from API keys."""

from core.db import command, query
from hub.domains.interactions.schemas import StoredParticipant

insert_participants = command(
    """
    INSERT INTO interaction_participants (
        id, user_id, interaction_id, contact_id, role, address_kind, address, address_hash
    )
    SELECT p.id, $1, p.interaction_id, p.contact_id, p.role, p.address_kind,
        decode(p.address, 'hex'), decode(p.address_hash, 'hex')
    FROM jsonb_to_recordset($2::jsonb) AS p (
        id uuid, interaction_id uuid, contact_id uuid, role text, address_kind text, address text,
        address_hash text
    )
    """
)

list_participants = query(
    StoredParticipant,
    """
    SELECT id, role, contact_id, address_kind, address
    FROM interaction_participants
    WHERE user_id = app.user_id() AND interaction_id = $1
    ORDER BY id
    """,
)

delete_participants = command(
    "DELETE FROM interaction_participants WHERE user_id = app.user_id() AND interaction_id = $1"
)
