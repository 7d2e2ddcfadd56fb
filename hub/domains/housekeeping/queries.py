"""SQL that keeps tables at their size."""

from core.db import command, query

create_partitions = query(str, "SELECT app.create_partitions($1)::text", login="system")

# Rows of one call are bounded, so that a purge after a long pause holds no long transaction.
purge_idempotency_keys = command(
    """
    DELETE FROM idempotency_keys
    WHERE (user_id, key) IN (
        SELECT user_id, key
        FROM idempotency_keys
        WHERE expires_at < now()
        LIMIT $1
    )
    """,
    login="system",
)

purge_consumer_tasks = command(
    """
    DELETE FROM consumer_tasks
    WHERE (event_id, consumer) IN (
        SELECT event_id, consumer
        FROM consumer_tasks
        WHERE status = 'done' AND updated_at < now() - make_interval(days => $1)
        LIMIT $2
    )
    """,
    login="system",
)

purge_rejected_taps = command(
    """
    DELETE FROM rejected_taps
    WHERE id IN (
        SELECT id
        FROM rejected_taps
        WHERE received_at < now() - make_interval(days => $1)
        LIMIT $2
    )
    """,
    login="system",
)
