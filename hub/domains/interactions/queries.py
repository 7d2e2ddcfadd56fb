"""SQL of interactions; rows are fenced by owner, and private ones from API keys."""

from uuid import UUID

from core.db import query

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
