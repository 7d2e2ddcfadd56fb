"""SQL of lists of contacts and of the search; rows are fenced by owner."""

from typing import Final

from core.db import query
from hub.domains.contacts.schemas import ListedContact, PlacedContact, TagCount

_COLUMNS: Final = """
    c.id, c.full_name, c.first_name, c.last_name, c.company, c.job_title, c.avatar_url, c.location,
    c.source, c.strength, c.last_interaction_at, c.frequency, c.tags, c.linked_user_id,
    c.archived_at, c.created_at, c.updated_at"""
# As its index has it: who never was met stands at the end.
_MET: Final = """
    CASE WHEN c.last_interaction_at IS NULL THEN timestamptz '1970-01-01 00:00:00+00'
    ELSE c.last_interaction_at END"""
# Four orders, each by its own index. What narrows them is the same.
_LISTED: Final = """
    SELECT {columns}
    FROM contacts AS c
    WHERE c.user_id = app.user_id() AND NOT c.is_self AND c.merged_into_id IS NULL
        AND (c.archived_at IS NOT NULL) = $1
        AND ($2::text IS NULL OR c.tags @> ARRAY[$2::text])
        AND ($3::text IS NULL OR c.company_plain = app.plain_text($3::text))
        AND ($4::text IS NULL OR c.source = $4::text)
        AND ($5::boolean IS NULL OR (c.linked_user_id IS NOT NULL) = $5::boolean)
        AND {after}
    LIMIT $6
    """

list_recent = query(
    ListedContact,
    _LISTED.replace("{after}", "($7::uuid IS NULL OR c.id < $7::uuid) ORDER BY c.id DESC"),
    columns=_COLUMNS,
)

list_by_name = query(
    PlacedContact,
    _LISTED.replace(
        "{after}",
        """($7::text IS NULL OR (c.name_plain, c.id) > ($7::text, $8::uuid))
    ORDER BY c.name_plain, c.id""",
    ),
    columns=_COLUMNS + ", c.name_plain",
)

list_by_strength = query(
    ListedContact,
    _LISTED.replace(
        "{after}",
        """($7::float8 IS NULL OR (c.strength, c.id) < ($7::float8, $8::uuid))
    ORDER BY c.strength DESC, c.id DESC""",
    ),
    columns=_COLUMNS,
)

list_by_interaction = query(
    ListedContact,
    _LISTED.replace(
        "{after}",
        """($7::timestamptz IS NULL OR ({met}, c.id) < ($7::timestamptz, $8::uuid))
    ORDER BY {met} DESC, c.id DESC""",
    ).replace("{met}", _MET),
    columns=_COLUMNS,
)

search = query(
    ListedContact,
    """
    SELECT {columns}
    FROM app.search_contacts($1, $2, $3, $4) AS s (id)
    JOIN contacts AS c ON c.id = s.id
    ORDER BY c.id DESC
    """,
    columns=_COLUMNS,
)

list_by_hashes = query(
    ListedContact,
    """
    SELECT {columns}
    FROM contacts AS c
    WHERE c.user_id = app.user_id() AND NOT c.is_self AND c.merged_into_id IS NULL
        AND (c.archived_at IS NOT NULL) = $3
        AND c.id IN (
            SELECT m.contact_id
            FROM contact_methods AS m
            WHERE m.user_id = app.user_id() AND m.kind = $1 AND m.value_hash = ANY($2::bytea[])
        )
        AND ($4::uuid IS NULL OR c.id < $4::uuid)
    ORDER BY c.id DESC
    LIMIT $5
    """,
    columns=_COLUMNS,
)

list_tags = query(
    TagCount,
    """
    SELECT t.tag, count(*)::int AS contacts
    FROM contacts AS c
    CROSS JOIN unnest(c.tags) AS t (tag)
    WHERE c.user_id = app.user_id() AND NOT c.is_self AND c.archived_at IS NULL
    GROUP BY t.tag
    HAVING $1::text IS NULL OR t.tag > $1::text
    ORDER BY t.tag
    LIMIT $2
    """,
)
