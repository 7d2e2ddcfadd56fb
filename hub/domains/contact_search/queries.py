"""SQL of lists of contacts and of the search; rows are fenced by owner."""

from core.db import query
from hub.domains.contacts.schemas import ListedContact, PlacedContact, TagCount

# Four orders, each by its own index. What narrows them is the same.
list_recent = query(
    ListedContact,
    """
    SELECT
        id, full_name, first_name, last_name, company, job_title, avatar_url, location, source,
        strength, last_interaction_at, frequency, tags, linked_user_id, archived_at, created_at,
        updated_at
    FROM contacts
    WHERE user_id = app.user_id() AND NOT is_self AND merged_into_id IS NULL
        AND (archived_at IS NOT NULL) = $1
        AND ($2::text IS NULL OR tags @> ARRAY[$2::text])
        AND ($3::text IS NULL OR company_plain = app.plain_text($3::text))
        AND ($4::text IS NULL OR source = $4::text)
        AND ($5::boolean IS NULL OR (linked_user_id IS NOT NULL) = $5::boolean)
        AND ($7::uuid IS NULL OR id < $7::uuid)
    ORDER BY id DESC
    LIMIT $6
    """,
)

list_by_name = query(
    PlacedContact,
    """
    SELECT
        id, full_name, first_name, last_name, company, job_title, avatar_url, location, source,
        strength, last_interaction_at, frequency, tags, linked_user_id, archived_at, created_at,
        updated_at, name_plain
    FROM contacts
    WHERE user_id = app.user_id() AND NOT is_self AND merged_into_id IS NULL
        AND (archived_at IS NOT NULL) = $1
        AND ($2::text IS NULL OR tags @> ARRAY[$2::text])
        AND ($3::text IS NULL OR company_plain = app.plain_text($3::text))
        AND ($4::text IS NULL OR source = $4::text)
        AND ($5::boolean IS NULL OR (linked_user_id IS NOT NULL) = $5::boolean)
        AND ($7::text IS NULL OR (name_plain, id) > ($7::text, $8::uuid))
    ORDER BY name_plain, id
    LIMIT $6
    """,
)

list_by_strength = query(
    ListedContact,
    """
    SELECT
        id, full_name, first_name, last_name, company, job_title, avatar_url, location, source,
        strength, last_interaction_at, frequency, tags, linked_user_id, archived_at, created_at,
        updated_at
    FROM contacts
    WHERE user_id = app.user_id() AND NOT is_self AND merged_into_id IS NULL
        AND (archived_at IS NOT NULL) = $1
        AND ($2::text IS NULL OR tags @> ARRAY[$2::text])
        AND ($3::text IS NULL OR company_plain = app.plain_text($3::text))
        AND ($4::text IS NULL OR source = $4::text)
        AND ($5::boolean IS NULL OR (linked_user_id IS NOT NULL) = $5::boolean)
        AND ($7::float8 IS NULL OR (strength, id) < ($7::float8, $8::uuid))
    ORDER BY strength DESC, id DESC
    LIMIT $6
    """,
)

list_by_interaction = query(
    ListedContact,
    """
    SELECT
        id, full_name, first_name, last_name, company, job_title, avatar_url, location, source,
        strength, last_interaction_at, frequency, tags, linked_user_id, archived_at, created_at,
        updated_at
    FROM contacts
    WHERE user_id = app.user_id() AND NOT is_self AND merged_into_id IS NULL
        AND (archived_at IS NOT NULL) = $1
        AND ($2::text IS NULL OR tags @> ARRAY[$2::text])
        AND ($3::text IS NULL OR company_plain = app.plain_text($3::text))
        AND ($4::text IS NULL OR source = $4::text)
        AND ($5::boolean IS NULL OR (linked_user_id IS NOT NULL) = $5::boolean)
        AND (
            $7::timestamptz IS NULL
            OR (
                CASE WHEN last_interaction_at IS NULL THEN timestamptz '1970-01-01 00:00:00+00'
                ELSE last_interaction_at END,
                id
            ) < ($7::timestamptz, $8::uuid)
        )
    ORDER BY
        CASE WHEN last_interaction_at IS NULL THEN timestamptz '1970-01-01 00:00:00+00'
        ELSE last_interaction_at END DESC,
        id DESC
    LIMIT $6
    """,
)

search = query(
    ListedContact,
    """
    SELECT
        c.id, c.full_name, c.first_name, c.last_name, c.company, c.job_title, c.avatar_url,
        c.location, c.source, c.strength, c.last_interaction_at, c.frequency, c.tags,
        c.linked_user_id, c.archived_at, c.created_at, c.updated_at
    FROM app.search_contacts($1, $2, $3, $4) AS s (id)
    JOIN contacts AS c ON c.id = s.id
    ORDER BY c.id DESC
    """,
)

list_by_hashes = query(
    ListedContact,
    """
    SELECT
        c.id, c.full_name, c.first_name, c.last_name, c.company, c.job_title, c.avatar_url,
        c.location, c.source, c.strength, c.last_interaction_at, c.frequency, c.tags,
        c.linked_user_id, c.archived_at, c.created_at, c.updated_at
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
