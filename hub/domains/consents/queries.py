"""SQL of consents; rows are fenced by policy."""

from core.db import query
from hub.domains.consents.schemas import Decision, StoredConsent

# For any login: users see their own consent, processes of the hub everybody's.
allows = query(bool, "SELECT app.allows($1, $2)")

list_own = query(
    StoredConsent,
    """
    SELECT purpose, granted, text_version, source, granted_at, withdrawn_at
    FROM consents
    WHERE user_id = app.user_id()
    ORDER BY purpose
    """,
)

# What is said again changes nothing. clock_timestamp: now() may be from before a wait for the row.
decide = query(
    StoredConsent,
    """
    INSERT INTO consents AS c (purpose, granted, text_version, source, granted_at, withdrawn_at)
    VALUES (
        $1, $2, $3, $4,
        CASE WHEN $2 THEN clock_timestamp() END,
        CASE WHEN NOT $2 THEN clock_timestamp() END
    )
    ON CONFLICT (user_id, purpose) DO UPDATE
    SET
        granted = EXCLUDED.granted,
        text_version = CASE
            WHEN EXCLUDED.granted THEN EXCLUDED.text_version ELSE c.text_version
        END,
        source = EXCLUDED.source,
        granted_at = CASE WHEN EXCLUDED.granted THEN clock_timestamp() ELSE c.granted_at END,
        withdrawn_at = CASE WHEN NOT EXCLUDED.granted THEN clock_timestamp() END
    WHERE
        c.granted <> EXCLUDED.granted
        OR (EXCLUDED.granted AND c.text_version <> EXCLUDED.text_version)
    RETURNING c.purpose, c.granted, c.text_version, c.source, c.granted_at, c.withdrawn_at
    """,
)

list_history = query(
    Decision,
    """
    SELECT id, purpose, granted, text_version, source, decided_at
    FROM consent_history
    WHERE user_id = app.user_id() AND ($1::uuid IS NULL OR id < $1::uuid)
    ORDER BY id DESC
    LIMIT $2
    """,
)
