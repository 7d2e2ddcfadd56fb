"""SQL of contacts, and of addresses that come with them; rows are fenced by owner.

Statements that also run for others, in a system transaction, name the owner.
"""

from uuid import UUID

from core.db import command, query
from hub.domains.contacts.schemas import ContactRow, Reached

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

# Also against rows that come to refer to them: those wait, or this does.
lock_contacts_and_rows = query(
    UUID,
    """
    SELECT id FROM contacts
    WHERE user_id = $1 AND id = ANY($2::uuid[])
    ORDER BY id
    FOR UPDATE
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
