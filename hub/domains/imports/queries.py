"""SQL of imports: people's own jobs by the policies, what moves them on by the owner's id."""

from uuid import UUID

from core.db import command, query
from hub.domains.imports.schemas import Import, MadeRow, PendingRow, Seen, StoredRow

lock_own = query(UUID, "SELECT id FROM users WHERE id = app.user_id() FOR NO KEY UPDATE")

count_open = query(
    int,
    """
    SELECT count(*)::int FROM import_jobs
    WHERE user_id = app.user_id() AND status IN ('uploaded', 'ready', 'running', 'undoing')
    """,
)

insert_job = command(
    """
    INSERT INTO import_jobs (id, format, file_name, file_bytes, mapping, dry_run)
    VALUES ($1, $2, $3, $4, $5, $6)
    """
)

insert_chunks = command(
    """
    INSERT INTO import_chunks (id, import_id, position, content)
    SELECT c.id, $1, c.position - 1, c.content
    FROM unnest($2::uuid[], $3::bytea[]) WITH ORDINALITY AS c (id, content, position)
    """
)

find_own = query(
    Import,
    """
    SELECT
        id, format, file_name, file_bytes, dry_run, status, error, encoding, remarks,
        ignored_columns, items_total, items_processed, items_created, items_known, items_skipped,
        items_failed, items_undone, items_kept, started_at, completed_at, created_at, updated_at
    FROM import_jobs
    WHERE id = $1
    """,
)

list_own = query(
    Import,
    """
    SELECT
        id, format, file_name, file_bytes, dry_run, status, error, encoding, remarks,
        ignored_columns, items_total, items_processed, items_created, items_known, items_skipped,
        items_failed, items_undone, items_kept, started_at, completed_at, created_at, updated_at
    FROM import_jobs
    WHERE $1::uuid IS NULL OR id < $1
    ORDER BY id DESC
    LIMIT $2
    """,
)

list_rows = query(
    StoredRow,
    """
    SELECT id, position, kind, status, payload, problems, contact_id, interaction_id
    FROM import_rows
    WHERE import_id = $1
    AND ($2::text IS NULL OR status = $2)
    AND (NOT $3 OR problems <> '[]')
    AND position > $4
    ORDER BY position
    LIMIT $5
    """,
)

start = query(
    UUID,
    """
    UPDATE import_jobs
    SET
        status = 'running', dry_run = false, items_processed = items_total - items_created,
        items_created = 0
    WHERE id = $1 AND status = 'ready'
    RETURNING id
    """,
)

cancel = query(
    UUID,
    """
    UPDATE import_jobs SET status = 'cancelled'
    WHERE id = $1 AND status IN ('uploaded', 'ready', 'running')
    RETURNING id
    """,
)

undo = query(
    UUID,
    """
    UPDATE import_jobs SET status = 'undoing'
    WHERE id = $1 AND status IN ('completed', 'failed', 'cancelled')
    RETURNING id
    """,
)

# What follows is done by the worker, in system transactions.

forget_payloads = command(
    """
    UPDATE import_rows SET payload = NULL, status = 'skipped'
    WHERE user_id = $1 AND import_id = $2 AND status = 'pending'
    """,
    login="system",
)

count_skipped = command(
    "UPDATE import_jobs SET items_skipped = items_skipped + $2 WHERE id = $1", login="system"
)

take_batch = query(
    PendingRow,
    """
    SELECT id, kind, payload, problems
    FROM import_rows
    WHERE user_id = $1 AND import_id = $2 AND status = 'pending'
    ORDER BY position
    LIMIT $3
    """,
    login="system",
)

finish_rows = command(
    """
    UPDATE import_rows AS r
    SET
        status = d.status, contact_id = d.contact_id, interaction_id = d.interaction_id,
        problems = d.problems::jsonb, payload = NULL,
        fingerprint = CASE
            WHEN d.status = 'created' AND d.contact_id IS NOT NULL AND d.interaction_id IS NULL
            THEN app.contact_fingerprint($1, d.contact_id)
        END
    FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[])
        AS d (id, status, contact_id, interaction_id, problems)
    WHERE r.user_id = $1 AND r.id = d.id
    """,
    login="system",
)

advance = command(
    """
    UPDATE import_jobs
    SET
        items_processed = items_processed + $2, items_created = items_created + $3,
        items_known = items_known + $4, items_skipped = items_skipped + $5,
        status = CASE
            WHEN $6 OR items_processed + $2 >= items_total THEN 'completed' ELSE status
        END,
        completed_at = CASE
            WHEN $6 OR items_processed + $2 >= items_total THEN now() ELSE completed_at
        END
    WHERE id = $1
    """,
    login="system",
)

# The latest first: interactions before whom they were with. What people have attached to a contact,
# or done to it, makes it theirs; what the hub derives of it does not.
take_made = query(
    MadeRow,
    """
    SELECT
        r.id, r.kind, r.contact_id, r.interaction_id,
        CASE
            WHEN r.contact_id IS NULL THEN false
            WHEN r.kind = 'interaction' THEN EXISTS (
                SELECT FROM interactions AS i
                WHERE i.user_id = $1 AND i.id = r.interaction_id AND i.updated_at <> i.created_at
            )
            ELSE
                r.fingerprint IS DISTINCT FROM app.contact_fingerprint($1, r.contact_id)
                OR EXISTS (
                    SELECT FROM interactions AS i
                    WHERE i.user_id = $1 AND i.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM interaction_participants AS p
                    WHERE p.user_id = $1 AND p.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM contact_links AS l
                    WHERE l.user_id = $1 AND r.contact_id IN (l.contact_a_id, l.contact_b_id)
                )
                OR EXISTS (
                    SELECT FROM contact_merges AS m
                    WHERE m.user_id = $1 AND m.kept_id = r.contact_id AND m.undone_at IS NULL
                )
                OR EXISTS (
                    SELECT FROM interests AS t WHERE t.user_id = $1 AND t.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM circle_members AS c
                    WHERE c.user_id = $1 AND c.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM contact_relationship_types AS t
                    WHERE t.user_id = $1 AND t.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM connection_goals AS g
                    WHERE g.user_id = $1 AND g.contact_id = r.contact_id
                )
                OR EXISTS (
                    SELECT FROM reminders AS m WHERE m.user_id = $1 AND m.contact_id = r.contact_id
                )
        END AS is_changed
    FROM import_rows AS r
    WHERE r.user_id = $1 AND r.import_id = $2 AND r.status = 'created'
    ORDER BY (r.kind = 'interaction') DESC, r.position DESC
    LIMIT $3
    """,
    login="system",
)

# Participants by one statement, and so their contacts told of once, not with each interaction.
delete_interactions = command(
    """
    WITH left_out AS (
        DELETE FROM interaction_participants
        WHERE user_id = $1 AND interaction_id = ANY($2::uuid[])
    )
    DELETE FROM interactions WHERE user_id = $1 AND id = ANY($2::uuid[])
    """,
    login="system",
)

set_status = command(
    "UPDATE import_rows SET status = $3 WHERE user_id = $1 AND id = ANY($2::uuid[])",
    login="system",
)

take_back = command(
    """
    UPDATE import_jobs
    SET
        items_undone = items_undone + $2, items_kept = items_kept + $3,
        status = CASE WHEN $4 THEN 'undone' ELSE status END
    WHERE id = $1
    """,
    login="system",
)

# A checked file waits a week for its owner; what has not moved for two hours never will, unless it
# waits for relay or workers that are away.
purge = query(
    UUID,
    """
    UPDATE import_jobs
    SET
        status = CASE WHEN status = 'ready' THEN 'cancelled' ELSE 'failed' END,
        error = CASE WHEN status = 'ready' THEN error ELSE 'import.stalled' END,
        completed_at = now()
    WHERE id IN (
        SELECT id
        FROM import_jobs
        WHERE (
            status IN ('uploaded', 'running', 'undoing')
            AND updated_at < now() - interval '2 hours'
            AND NOT EXISTS (
                SELECT FROM outbox AS o
                JOIN events AS e ON e.occurred_at = o.occurred_at AND e.id = o.event_id
                WHERE e.subject_id = import_jobs.id
            )
            AND NOT EXISTS (
                SELECT FROM consumer_tasks AS t
                JOIN events AS e ON e.occurred_at = t.occurred_at AND e.id = t.event_id
                WHERE t.consumer = 'imports.advance'
                    AND t.status IN ('pending', 'running')
                    AND e.subject_id = import_jobs.id
            )
        )
        OR (status = 'ready' AND updated_at < now() - interval '7 days')
        ORDER BY updated_at, id
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id
    """,
    login="system",
)

# Those under way first, and of them first what has not moved for longest.
list_seen = query(
    Seen,
    """
    SELECT
        id, user_id, format, status, error, items_total, items_processed, created_at, updated_at
    FROM import_jobs
    WHERE CASE WHEN $1 THEN status = 'failed'
        ELSE status IN ('uploaded', 'ready', 'running', 'undoing') END
    ORDER BY status = 'ready', updated_at
    LIMIT $2
    """,
    login="system",
)
