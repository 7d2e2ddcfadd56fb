"""SQL of files on their way from pieces to rows; jobs are moved on in system transactions."""

from core.db import command, query
from hub.domains.imports.schemas import Chunk, Job

lock_job = query(
    Job,
    """
    SELECT
        id, user_id, format, mapping, dry_run, status, items_total, items_processed, items_undone,
        items_kept
    FROM import_jobs
    WHERE id = $1
    FOR UPDATE
    """,
    login="system",
)

find_job = query(
    Job,
    """
    SELECT
        id, user_id, format, mapping, dry_run, status, items_total, items_processed, items_undone,
        items_kept
    FROM import_jobs
    WHERE id = $1
    """,
    login="system",
)

read_chunks = query(
    Chunk,
    """
    SELECT id, content FROM import_chunks
    WHERE user_id = $1 AND import_id = $2
    ORDER BY position
    """,
    login="system",
)

delete_chunks = command(
    "DELETE FROM import_chunks WHERE user_id = $1 AND import_id = $2", login="system"
)

insert_rows = command(
    """
    INSERT INTO import_rows (
        id, user_id, import_id, position, kind, status, problems, payload, content_hash
    )
    SELECT
        r.id, $1, $2, r.position, r.kind, r.status, r.problems::jsonb, r.payload, r.content_hash
    FROM unnest(
        $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[]
    ) AS r (id, position, kind, status, problems, payload, content_hash)
    """,
    login="system",
)

finish_reading = command(
    """
    UPDATE import_jobs
    SET
        status = $2, encoding = $3, remarks = $4, ignored_columns = $5, items_total = $6,
        items_processed = $7, items_created = $8, items_known = $9, items_skipped = $10,
        items_failed = $11, started_at = now(),
        completed_at = CASE WHEN $2 = 'completed' THEN now() END
    WHERE id = $1
    """,
    login="system",
)

fail = command(
    "UPDATE import_jobs SET status = 'failed', error = $2, completed_at = now() WHERE id = $1",
    login="system",
)
