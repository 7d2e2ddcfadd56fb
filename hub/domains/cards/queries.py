"""SQL of contact cards; rows are fenced by owner."""

from core.db import command, query
from hub.domains.cards.schemas import StoredCard

find_own = query(
    StoredCard,
    """
    SELECT u.id AS user_id, u.full_name, c.card
    FROM users AS u
    LEFT JOIN contact_cards AS c ON c.user_id = u.id
    WHERE u.id = app.user_id() AND u.deleted_at IS NULL
    """,
)

put_own = command(
    """
    INSERT INTO contact_cards (card)
    VALUES ($1)
    ON CONFLICT (user_id) DO UPDATE SET card = EXCLUDED.card
    """
)

find_many = query(
    StoredCard,
    """
    SELECT u.id AS user_id, u.full_name, c.card
    FROM users AS u
    LEFT JOIN contact_cards AS c ON c.user_id = u.id
    WHERE u.id = ANY($1::uuid[]) AND u.deleted_at IS NULL
    """,
    login="system",
)
