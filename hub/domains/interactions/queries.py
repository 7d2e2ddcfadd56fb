"""SQL of interactions; rows are fenced by owner, and private ones from API keys.

Statements that also run for others, in a system transaction, name the owner. So do lists, beside
the policies: by a value the planner leaves out the 15 parts that are others', by `app.user_id()` it
plans all. They take all bounds of time: under policies `coalesce` counts as what might tell of
rows, and enters no index. A list is one of three statements, by what narrows it most: a statement
for all filters would be planned without knowing which of them is set, and read a user's whole
history for a contact of yesterday.
"""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.interactions.schemas import (
    Interaction,
    MatchedInteraction,
    StoredInteraction,
)

_SHOWN_COLUMNS: Final = """i.id, i.contact_id, i.kind, i.direction, i.subject, i.summary,
        i.sentiment, i.occurred_at, i.duration_seconds, i.source, i.external_id, i.is_private,
        i.created_at, i.updated_at"""

# In the order of what is unique, so that two imports at once wait for each other in one order.
insert_interactions = query(
    UUID,
    """
    INSERT INTO interactions (
        id, user_id, contact_id, kind, direction, subject, content, summary, sentiment,
        occurred_at, duration_seconds, source, external_id, metadata, is_private
    )
    SELECT n.id, $1, n.contact_id, n.kind, n.direction, n.subject, n.content, n.summary,
        n.sentiment, n.occurred_at, n.duration_seconds, n.source, n.external_id, n.metadata,
        n.is_private
    FROM jsonb_to_recordset($2::jsonb) AS n (
        id uuid, contact_id uuid, kind text, direction text, subject text, content text,
        summary text, sentiment double precision, occurred_at timestamptz, duration_seconds int,
        source text, external_id text, metadata jsonb, is_private boolean
    )
    ORDER BY n.source, n.external_id
    ON CONFLICT (user_id, source, external_id) DO NOTHING
    RETURNING id
    """,
)

_LISTED: Final = """
    SELECT {columns}
    FROM interactions AS i
    WHERE user_id = $1
        {of_kind}
        AND (occurred_at, id) < ($2::timestamptz, $3::uuid)
        AND occurred_at >= $4::timestamptz
        AND ($5::text IS NULL OR direction = $5)
    ORDER BY occurred_at DESC, id DESC
    LIMIT $6
    """

list_interactions = query(Interaction, _LISTED.replace("{of_kind}", ""), columns=_SHOWN_COLUMNS)

list_of_kind = query(
    Interaction, _LISTED.replace("{of_kind}", "AND kind = $7"), columns=_SHOWN_COLUMNS
)

# With the contact, or with them among others. The longest page stands there as a number: a plan
# that is kept takes a parameter for a tenth of all, and would sort them.
list_of_contact = query(
    Interaction,
    """
    WITH alone AS (
        SELECT id
        FROM (
            SELECT id
            FROM interactions
            WHERE user_id = $1
                AND contact_id = $8
                AND (occurred_at, id) < ($2::timestamptz, $3::uuid)
                AND occurred_at >= $4::timestamptz
                AND ($5::text IS NULL OR direction = $5)
                AND ($7::text IS NULL OR kind = $7)
            ORDER BY occurred_at DESC, id DESC
            LIMIT 201
        ) AS page
        LIMIT $6
    ),
    among AS (
        SELECT interaction_id
        FROM (
            -- Once, who wrote it and got a copy.
            SELECT DISTINCT ON (p.occurred_at, p.interaction_id) p.interaction_id
            FROM interaction_participants AS p
            JOIN interactions AS i ON i.user_id = $1 AND i.id = p.interaction_id
            WHERE p.user_id = $1
                AND p.contact_id = $8
                AND (p.occurred_at, p.interaction_id) < ($2::timestamptz, $3::uuid)
                AND p.occurred_at >= $4::timestamptz
                AND ($5::text IS NULL OR i.direction = $5)
                AND ($7::text IS NULL OR i.kind = $7)
            ORDER BY p.occurred_at DESC, p.interaction_id DESC
            LIMIT 201
        ) AS page
        LIMIT $6
    )
    SELECT {columns}
    FROM (SELECT id FROM alone UNION SELECT interaction_id FROM among) AS t
    JOIN interactions AS i ON i.user_id = $1 AND i.id = t.id
    ORDER BY i.occurred_at DESC, i.id DESC
    LIMIT $6
    """,
    columns=_SHOWN_COLUMNS,
)

# As many as may be said, and one more.
count_interactions = query(
    int,
    """
    SELECT count(*)
    FROM (
        SELECT
        FROM interactions
        WHERE user_id = $1
            AND occurred_at >= $2::timestamptz
            AND occurred_at < $3::timestamptz
            AND ($4::text IS NULL OR direction = $4)
            AND ($5::text IS NULL OR kind = $5)
        LIMIT $6
    ) AS counted
    """,
)

count_of_contact = query(
    int,
    """
    SELECT count(*)
    FROM (
        SELECT
        FROM (
            SELECT id FROM interactions WHERE user_id = $1 AND contact_id = $7
            UNION
            SELECT interaction_id FROM interaction_participants
            WHERE user_id = $1 AND contact_id = $7
        ) AS t
        JOIN interactions AS i ON i.user_id = $1 AND i.id = t.id
        WHERE i.occurred_at >= $2::timestamptz
            AND i.occurred_at < $3::timestamptz
            AND ($4::text IS NULL OR i.direction = $4)
            AND ($5::text IS NULL OR i.kind = $5)
        LIMIT $6
    ) AS counted
    """,
)

# What the function finds is read under the policies again. Of long texts their beginning is shown.
search_interactions = query(
    MatchedInteraction,
    """
    SELECT {columns}, left(i.content, 20000) AS content
    FROM app.search_interactions($2, $3, $4, $5, $6, $7, $8, $9, $10) AS found
    JOIN interactions AS i ON i.user_id = $1 AND i.id = found.id
    ORDER BY found.occurred_at DESC, found.id DESC
    """,
    columns=_SHOWN_COLUMNS,
)

count_found = query(
    int,
    "SELECT count(*) FROM app.search_interactions($1, $2, $3, $4, $5, $6, NULL, NULL, $7)",
)

find_interaction = query(
    StoredInteraction,
    """
    SELECT {columns}, i.content, i.metadata
    FROM interactions AS i
    WHERE user_id = app.user_id() AND id = $1
    """,
    columns=_SHOWN_COLUMNS,
)

find_noted = query(
    UUID,
    """
    SELECT id
    FROM interactions
    WHERE user_id = app.user_id() AND source = 'manual' AND external_id = $1
    """,
)

change_interaction = command(
    """
    UPDATE interactions
    SET contact_id = $2, kind = $3, direction = $4, subject = $5, content = $6, summary = $7,
        sentiment = $8, occurred_at = $9, duration_seconds = $10, is_private = $11
    WHERE user_id = app.user_id() AND id = $1
    """
)

delete_interaction = command("DELETE FROM interactions WHERE user_id = app.user_id() AND id = $1")

find_self = query(UUID, "SELECT id FROM contacts WHERE user_id = $1 AND is_self")
