"""SQL of reads on their way in; run as ping_system."""

from core.db import command, query
from hub.domains.reads.schemas import ReadOutcome

record_reads = query(
    ReadOutcome,
    """
    SELECT position, outcome, ring_id
    FROM app.record_reads($1::jsonb)
    """,
    login="system",
)

# Sent again, a refused read is kept once. It shares the bound of its gateway's refused taps.
keep_refused = command(
    """
    INSERT INTO rejected_taps (gateway_id, read_id, reason, raw)
    SELECT $1, $2, $3, $4
    WHERE NOT EXISTS (
        SELECT FROM rejected_taps
        WHERE gateway_id = $1
        AND (read_id, raw) IS NOT DISTINCT FROM ($2, $4)
    )
    AND (
        SELECT count(*) FROM (
            SELECT FROM rejected_taps WHERE gateway_id = $1 LIMIT $5
        ) AS kept
    ) < $5
    """,
    login="system",
)
