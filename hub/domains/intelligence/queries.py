"""SQL of contact intelligence; rows are fenced by owner, and private ones from API keys.

Beside that the owner is named, as in lists of interactions.
"""

from core.db import query
from hub.domains.intelligence.schemas import Contacted, MutualContact

find_timezone = query(str, "SELECT timezone FROM users WHERE id = app.user_id()")

# With the contact, or with them among others; what is still to come shows no rhythm. How many are
# looked at stands there as a number: a plan that is kept takes a parameter for a tenth of all.
list_contacted = query(
    Contacted,
    """
    SELECT i.occurred_at, i.kind, i.direction
    FROM (
        (
            SELECT id
            FROM interactions
            WHERE user_id = $1 AND contact_id = $2 AND occurred_at <= now()
            ORDER BY occurred_at DESC, id DESC
            LIMIT 2000
        )
        UNION
        (
            SELECT DISTINCT ON (occurred_at, interaction_id) interaction_id
            FROM interaction_participants
            WHERE user_id = $1 AND contact_id = $2 AND occurred_at <= now()
            ORDER BY occurred_at DESC, interaction_id DESC
            LIMIT 2000
        )
    ) AS theirs
    JOIN interactions AS i ON i.user_id = $1 AND i.id = theirs.id
    ORDER BY i.occurred_at DESC
    LIMIT 2000
    """,
)

# Links of the address book are stored once, for both ends.
list_mutual = query(
    MutualContact,
    """
    WITH linked AS (
        SELECT contact_b_id AS contact_id, strength
        FROM contact_links
        WHERE user_id = $1 AND contact_a_id = $2
        UNION ALL
        SELECT contact_a_id, strength
        FROM contact_links
        WHERE user_id = $1 AND contact_b_id = $2
    ),
    theirs AS (
        (
            SELECT id
            FROM interactions
            WHERE user_id = $1 AND contact_id = $2
            ORDER BY occurred_at DESC, id DESC
            LIMIT 2000
        )
        UNION
        (
            SELECT interaction_id
            FROM interaction_participants
            WHERE user_id = $1 AND contact_id = $2
            ORDER BY occurred_at DESC, interaction_id DESC
            LIMIT 2000
        )
    ),
    together AS (
        SELECT contact_id, count(DISTINCT interaction_id) AS interactions
        FROM (
            SELECT p.contact_id, p.interaction_id
            FROM theirs AS t
            JOIN interaction_participants AS p
                ON p.user_id = $1 AND p.interaction_id = t.id
            UNION ALL
            SELECT i.contact_id, i.id
            FROM theirs AS t
            JOIN interactions AS i ON i.user_id = $1 AND i.id = t.id
        ) AS present
        WHERE contact_id <> $2
        GROUP BY contact_id
    )
    SELECT c.id AS contact_id, c.full_name, c.company, l.strength AS link_strength,
        coalesce(t.interactions, 0) AS shared_interactions
    FROM linked AS l
    FULL JOIN together AS t ON t.contact_id = l.contact_id
    JOIN contacts AS c
        ON c.user_id = $1
        AND c.id = coalesce(l.contact_id, t.contact_id)
        AND c.archived_at IS NULL
        AND NOT c.is_self
    ORDER BY coalesce(l.strength, 0) DESC, coalesce(t.interactions, 0) DESC, c.id
    LIMIT $3
    """,
)
