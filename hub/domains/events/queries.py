"""SQL of the outbox, the events behind it and the consumer tasks; run as ping_system."""

from core.db import command, query
from hub.domains.events.schemas import Event, Membership, OutboxEvent, TaskKey

# A lock of the transaction that deletes the rows: it cannot outlive its work, nor be lost before
# it. 0x70696e67 is "ping", so that other users of advisory locks do not meet ours.
lock_shards = query(
    int,
    """
    SELECT waiting.shard
    FROM (
        SELECT oldest.shard % $1::int AS shard
        FROM (SELECT shard FROM outbox ORDER BY seq LIMIT $3) AS oldest
        GROUP BY 1
        ORDER BY random() -- several relays begin at different shards
        LIMIT $2
    ) AS waiting
    WHERE pg_try_advisory_xact_lock(x'70696e67'::int, waiting.shard)
    """,
    login="system",
)

# A statement of its own after the lock, so that its snapshot sees what the last holder deleted.
read_outbox = query(
    OutboxEvent,
    """
    SELECT o.seq, o.event_id, e.type, e.user_id, e.subject_id, e.payload, o.occurred_at
    FROM outbox AS o
    LEFT JOIN events AS e ON e.occurred_at = o.occurred_at AND e.id = o.event_id
    WHERE o.shard % $1::int = ANY($2::int[])
    ORDER BY o.seq
    LIMIT $3
    """,
    login="system",
)

delete_outbox = command("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", login="system")

conversation_members = query(
    Membership,
    """
    SELECT conversation_id, user_id
    FROM conversation_members
    WHERE conversation_id = ANY($1::uuid[]) AND user_id IS NOT NULL
    ORDER BY conversation_id, user_id
    """,
    login="system",
)

in_conversation = query(bool, "SELECT app.in_conversation($1)")

# available_at is when the sweeper may kick the task: by then the relay's own kick has failed.
insert_tasks = command(
    """
    INSERT INTO consumer_tasks (event_id, occurred_at, consumer, available_at)
    SELECT event_id, occurred_at, consumer, now() + make_interval(secs => $4)
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS new (event_id, occurred_at, consumer)
    ON CONFLICT (event_id, consumer) DO NOTHING
    """,
    login="system",
)

insert_dead_letter = command(
    """
    INSERT INTO consumer_tasks (event_id, occurred_at, consumer, status, attempts, last_error)
    VALUES ($1, $2, $3, 'dead', 1, $4)
    ON CONFLICT (event_id, consumer) DO NOTHING
    """,
    login="system",
)

# The row lock is the claim: it lives exactly as long as the transaction that does the work.
claim_task = query(
    Event,
    """
    SELECT e.id, e.type, e.user_id, e.subject_id, e.payload, e.occurred_at
    FROM consumer_tasks AS t
    JOIN events AS e ON e.occurred_at = t.occurred_at AND e.id = t.event_id
    WHERE t.event_id = $1 AND t.consumer = $2 AND t.status IN ('pending', 'running')
    FOR UPDATE OF t SKIP LOCKED
    """,
    login="system",
)

finish_task = command(
    """
    UPDATE consumer_tasks
    SET status = 'done', available_at = now(), last_error = NULL
    WHERE event_id = $1 AND consumer = $2
    """,
    login="system",
)

count_failure = query(
    int,
    """
    UPDATE consumer_tasks
    SET status = 'pending', attempts = attempts + 1, last_error = $3
    WHERE event_id = $1 AND consumer = $2 AND status IN ('pending', 'running')
    RETURNING attempts
    """,
    login="system",
)

postpone_task = command(
    """
    UPDATE consumer_tasks
    SET available_at = now() + make_interval(secs => $3)
    WHERE event_id = $1 AND consumer = $2
    """,
    login="system",
)

bury_task = command(
    """
    UPDATE consumer_tasks
    SET status = 'dead'
    WHERE event_id = $1 AND consumer = $2
    """,
    login="system",
)

# Moving available_at keeps a long queue from being kicked again with every sweep.
sweep_tasks = query(
    TaskKey,
    """
    UPDATE consumer_tasks AS t
    SET status = 'pending', available_at = now() + make_interval(secs => $1)
    FROM (
        SELECT event_id, consumer
        FROM consumer_tasks
        WHERE (status = 'pending' AND available_at <= now())
        OR (status = 'running' AND updated_at < now() - make_interval(secs => $1))
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE t.event_id = due.event_id AND t.consumer = due.consumer
    RETURNING t.event_id, t.consumer
    """,
    login="system",
)
