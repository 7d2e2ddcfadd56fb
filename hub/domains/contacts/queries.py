"""SQL of contacts and their addresses; rows are fenced by owner.

Statements that also run for others, in a system transaction, name the owner.
"""

from uuid import UUID

from core.db import command, query
from hub.domains.contacts.schemas import (
    ContactRow,
    ListedContact,
    MethodRow,
    PlacedContact,
    Reached,
    TagCount,
)

find_locale = query(str, "SELECT coalesce(locale, '') FROM users WHERE id = $1")

insert_contacts = command(
    """
    INSERT INTO contacts (
        id, user_id, full_name, first_name, last_name, company, job_title, linkedin_url, avatar_url,
        location, bio, notes, birthday, context, source, frequency, tags
    )
    SELECT
        c.id, $1, c.full_name, c.first_name, c.last_name, c.company, c.job_title, c.linkedin_url,
        c.avatar_url, c.location, c.bio, decode(c.notes, 'hex'), c.birthday, c.context, c.source,
        c.frequency, c.tags
    FROM jsonb_to_recordset($2) AS c (
        id uuid, full_name text, first_name text, last_name text, company text, job_title text,
        linkedin_url text, avatar_url text, location text, bio text, notes text, birthday date,
        context jsonb, source text, frequency text, tags text[]
    )
    """
)

insert_methods = command(
    """
    INSERT INTO contact_methods (
        id, user_id, contact_id, kind, value, value_hash, label, is_primary, source
    )
    SELECT
        m.id, $1, m.contact_id, m.kind, decode(m.value, 'hex'), decode(m.value_hash, 'hex'),
        m.label, m.is_primary, m.source
    FROM jsonb_to_recordset($2) AS m (
        id uuid, contact_id uuid, kind text, value text, value_hash text, label text,
        is_primary boolean, source text
    )
    """
)

find_contact = query(
    ContactRow,
    """
    SELECT
        id, user_id, full_name, first_name, last_name, company, job_title, linkedin_url,
        avatar_url, location, bio, notes, birthday, context, source, strength,
        last_interaction_at, frequency, tags, is_self, linked_user_id, linked_by, archived_at,
        merged_into_id, created_at, updated_at
    FROM contacts
    WHERE user_id = $1 AND id = $2
    """,
)

list_methods = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2
    ORDER BY kind, is_primary DESC, id
    """,
)

# Of several contacts with one address the one that is not archived, and then the oldest.
find_by_method_hashes = query(
    Reached,
    """
    SELECT DISTINCT ON (a.position) a.position, m.contact_id
    FROM unnest($2::int[], $3::text[], $4::bytea[]) AS a (position, kind, hash)
    JOIN contact_methods AS m
        ON m.user_id = $1 AND m.value_hash = a.hash AND m.kind = a.kind
    JOIN contacts AS c
        ON c.user_id = $1 AND c.id = m.contact_id AND c.merged_into_id IS NULL
    ORDER BY a.position, c.archived_at IS NOT NULL, c.id
    """,
)

archive = query(
    UUID,
    """
    UPDATE contacts SET archived_at = coalesce(archived_at, now())
    WHERE user_id = $1 AND id = $2 AND NOT is_self AND merged_into_id IS NULL
    RETURNING id
    """,
)

restore = query(
    UUID,
    """
    UPDATE contacts SET archived_at = NULL
    WHERE user_id = $1 AND id = $2 AND merged_into_id IS NULL
    RETURNING id
    """,
)

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
            OR (coalesce(last_interaction_at, '1970-01-01 00:00:00+00'), id)
                < ($7::timestamptz, $8::uuid)
        )
    ORDER BY coalesce(last_interaction_at, '1970-01-01 00:00:00+00') DESC, id DESC
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
    WHERE c.user_id = app.user_id() AND c.archived_at IS NULL
    GROUP BY t.tag
    HAVING $1::text IS NULL OR t.tag > $1::text
    ORDER BY t.tag
    LIMIT $2
    """,
)

find_self = query(UUID, "SELECT id FROM contacts WHERE user_id = app.user_id() AND is_self")

# Before it is read, so that of two changes at once neither undoes the other.
lock_contacts = query(
    UUID,
    """
    SELECT id FROM contacts
    WHERE user_id = $1 AND id = ANY($2::uuid[])
    ORDER BY id
    FOR NO KEY UPDATE
    """,
)

change_contact = command(
    """
    UPDATE contacts
    SET full_name = $3, first_name = $4, last_name = $5, company = $6, job_title = $7,
        linkedin_url = $8, avatar_url = $9, location = $10, bio = $11, notes = $12, birthday = $13,
        context = $14, frequency = $15, tags = $16
    WHERE user_id = $1 AND id = $2
    """
)

insert_method = command(
    """
    INSERT INTO contact_methods (
        id, user_id, contact_id, kind, value, value_hash, label, is_primary, source
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    """
)

find_method = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    """,
)

find_known_method = query(
    MethodRow,
    """
    SELECT id, contact_id, kind, value, label, is_primary, source, created_at, updated_at
    FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND kind = $3 AND value_hash = ANY($4::bytea[])
    """,
)

count_methods = query(
    int, "SELECT count(*) FROM contact_methods WHERE user_id = $1 AND contact_id = $2"
)

unset_primary = command(
    """
    UPDATE contact_methods SET is_primary = false
    WHERE user_id = $1 AND contact_id = $2 AND kind = $3 AND is_primary AND id <> $4
    """
)

change_method = command(
    """
    UPDATE contact_methods SET label = $4, is_primary = $5
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    """
)

remove_method = query(
    str,
    """
    DELETE FROM contact_methods
    WHERE user_id = $1 AND contact_id = $2 AND id = $3
    RETURNING kind
    """,
)

# Of the addresses of a kind one is the primary one, as long as there is any.
choose_primary = command(
    """
    UPDATE contact_methods AS m SET is_primary = true
    WHERE m.id = (
        SELECT o.id FROM contact_methods AS o
        WHERE o.user_id = $1 AND o.contact_id = $2 AND o.kind = $3
        ORDER BY o.is_primary DESC, o.id
        LIMIT 1
    ) AND NOT m.is_primary
    """
)

# What people have merged since is theirs.
delete_contacts = command(
    """
    DELETE FROM contacts AS c
    WHERE c.user_id = $1 AND c.id = ANY($2::uuid[]) AND NOT c.is_self
        AND NOT EXISTS (
            SELECT FROM contact_merges AS m
            WHERE m.user_id = $1 AND m.undone_at IS NULL AND c.id IN (m.kept_id, m.merged_id)
        )
    """,
    login="system",
)
