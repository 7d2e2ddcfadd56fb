"""SQL of what is known already of the entries of a file."""

from uuid import UUID

from core.db import command, query
from hub.domains.import_matching.schemas import KnownContent, Namesake

find_contents = query(
    KnownContent,
    """
    SELECT DISTINCT ON (a.position) a.position, r.contact_id, r.interaction_id
    FROM unnest($2::int[], $3::bytea[]) AS a (position, hash)
    JOIN import_rows AS r ON r.user_id = $1 AND r.content_hash = a.hash
    WHERE r.contact_id IS NOT NULL OR r.interaction_id IS NOT NULL
    ORDER BY a.position, r.id
    """,
    login="system",
)

# A telephone may be a household's: only with the same name it is the same person's. A mailbox may
# be an office's: whoever has no word of the name in common, and has a name, is somebody else.
find_namesakes = query(
    Namesake,
    """
    SELECT DISTINCT ON (a.position) a.position, c.id AS contact_id
    FROM unnest($2::int[], $3::text[], $4::bytea[], $5::text[], $6::text[])
        AS a (position, kind, hash, value, name)
    CROSS JOIN LATERAL (SELECT app.plain_words(a.name) AS words) AS n
    JOIN contact_methods AS m ON m.user_id = $1 AND m.value_hash = a.hash AND m.kind = a.kind
    JOIN contacts AS c ON c.user_id = $1 AND c.id = m.contact_id
    WHERE c.merged_into_id IS NULL
    AND (
        a.kind = 'linkedin'
        OR c.name_words = array_to_string(n.words, ' ')
        OR (a.kind = 'email' AND (
            cardinality(n.words) = 0
            OR c.name_words IN ('', array_to_string(app.plain_words(a.value), ' '))
            OR string_to_array(c.name_words, ' ') && n.words
        ))
    )
    ORDER BY
        a.position, c.archived_at IS NOT NULL,
        c.name_words <> array_to_string(n.words, ' '), c.id
    """,
    login="system",
)

# Whom nothing else tells apart: as the hub's own exports bring back who has no address.
find_unaddressed = query(
    Namesake,
    """
    SELECT DISTINCT ON (a.position) a.position, c.id AS contact_id
    FROM unnest($2::int[], $3::text[], $4::text[], $5::text[])
        AS a (position, name, company, birthday)
    JOIN contacts AS c
        ON c.user_id = $1 AND c.name_words = array_to_string(app.plain_words(a.name), ' ')
    WHERE c.merged_into_id IS NULL
    AND NOT c.is_self
    AND app.plain_words(coalesce(c.company, '')) = app.plain_words(a.company)
    AND c.birthday IS NOT DISTINCT FROM replace(a.birthday, '--', '1604-')::date
    AND (c.name_words <> '' OR c.full_name = a.name)
    ORDER BY a.position, c.archived_at IS NOT NULL, c.id
    """,
    login="system",
)

# Two imports of one user know of each other what they have brought in.
lock_book = command(
    "SELECT pg_advisory_xact_lock(hashtextextended('imports:' || $1::uuid::text, 24))",
    login="system",
)

find_self = query(UUID, "SELECT id FROM contacts WHERE user_id = $1 AND is_self", login="system")
