"""SQL of merges of contacts; rows are fenced by owner."""

from uuid import UUID

from core.db import command, query
from hub.domains.contact_merges.schemas import Candidate, MergeRow

# Pairs with an address, a name or a user in common. What more than $1 contacts have is nobody's
# own: the number of an office. A name alone is never enough, so that is left out; should there be
# more than $2, what says most comes first. Told apart are also whom the two were merged into since.
list_candidates = query(
    Candidate,
    """
    WITH living AS (
        SELECT
            c.id, c.full_name, c.name_words, c.company, c.company_plain, c.job_title, c.birthday,
            c.linked_user_id
        FROM contacts AS c
        WHERE c.user_id = app.user_id() AND c.archived_at IS NULL AND NOT c.is_self
    ), alike AS (
        SELECT m.kind, array_agg(DISTINCT m.contact_id) AS ids
        FROM contact_methods AS m
        JOIN living AS c ON c.id = m.contact_id
        WHERE m.user_id = app.user_id()
        GROUP BY m.kind, m.value_hash
        HAVING count(DISTINCT m.contact_id) BETWEEN 2 AND $1
        UNION ALL
        SELECT NULL, array_agg(c.id) FROM living AS c
        WHERE c.name_words <> ''
        GROUP BY c.name_words
        HAVING count(*) BETWEEN 2 AND $1
        UNION ALL
        SELECT NULL, array_agg(c.id) FROM living AS c
        WHERE c.linked_user_id IS NOT NULL
        GROUP BY c.linked_user_id
        HAVING count(*) BETWEEN 2 AND $1
    ), pairs AS (
        SELECT
            x.id AS one_id, y.id AS other_id,
            coalesce(array_agg(DISTINCT a.kind) FILTER (WHERE a.kind IS NOT NULL), '{}') AS kinds
        FROM alike AS a
        CROSS JOIN unnest(a.ids) AS x (id)
        CROSS JOIN unnest(a.ids) AS y (id)
        WHERE x.id < y.id
        GROUP BY x.id, y.id
    ), apart AS (
        SELECT ARRAY[coalesce(a.merged_into_id, a.id), coalesce(b.merged_into_id, b.id)] AS ids
        FROM contact_distinctions AS d
        JOIN contacts AS a ON a.user_id = d.user_id AND a.id = d.contact_a_id
        JOIN contacts AS b ON b.user_id = d.user_id AND b.id = d.contact_b_id
        WHERE d.user_id = app.user_id()
    )
    SELECT
        one.id AS one_id, one.full_name AS one_name, one.name_words AS one_words,
        one.company AS one_company, one.job_title AS one_job_title,
        one.company_plain AS one_company_plain, one.birthday AS one_birthday,
        other.id AS other_id, other.full_name AS other_name, other.name_words AS other_words,
        other.company AS other_company, other.job_title AS other_job_title,
        other.company_plain AS other_company_plain, other.birthday AS other_birthday,
        p.kinds AS shared_kinds,
        coalesce(one.linked_user_id = other.linked_user_id, false) AS is_same_user
    FROM pairs AS p
    JOIN living AS one ON one.id = p.one_id
    JOIN living AS other ON other.id = p.other_id
    WHERE (
        p.kinds <> '{}' OR one.linked_user_id = other.linked_user_id
        OR one.company_plain = other.company_plain OR one.birthday = other.birthday
    ) AND NOT EXISTS (SELECT FROM apart AS d WHERE d.ids @> ARRAY[p.one_id, p.other_id])
    ORDER BY is_same_user DESC, cardinality(p.kinds) DESC, p.one_id, p.other_id
    LIMIT $2
    """,
)

distinguish = command(
    """
    INSERT INTO contact_distinctions (contact_a_id, contact_b_id)
    VALUES (least($1::uuid, $2::uuid), greatest($1::uuid, $2::uuid))
    ON CONFLICT DO NOTHING
    """
)

forget_distinction = command(
    """
    DELETE FROM contact_distinctions
    WHERE user_id = app.user_id()
        AND contact_a_id = least($1::uuid, $2::uuid)
        AND contact_b_id = greatest($1::uuid, $2::uuid)
    """
)

write_kept = command(
    """
    UPDATE contacts
    SET first_name = $2, last_name = $3, company = $4, job_title = $5, linkedin_url = $6,
        avatar_url = $7, location = $8, bio = $9, birthday = $10, context = $11, frequency = $12,
        linked_user_id = $13, linked_by = $14, notes = $15, tags = $16, strength = $17,
        last_interaction_at = $18, archived_at = $19
    WHERE user_id = app.user_id() AND id = $1
    """
)

mark_merged = command(
    """
    UPDATE contacts SET merged_into_id = $2, archived_at = coalesce(archived_at, now())
    WHERE user_id = app.user_id() AND id = $1
    """
)

# What was archived before the merge still is.
mark_separate = command(
    """
    UPDATE contacts
    SET merged_into_id = NULL, archived_at = CASE WHEN $2::boolean THEN archived_at END
    WHERE user_id = app.user_id() AND id = $1
    """
)

insert_merge = query(
    UUID,
    """
    INSERT INTO contact_merges (kept_id, merged_id, record) VALUES ($1, $2, $3)
    RETURNING id
    """,
)

find_merge = query(
    MergeRow,
    """
    SELECT id, kept_id, merged_id, record, undone_at, created_at
    FROM contact_merges
    WHERE user_id = app.user_id() AND id = $1
    """,
)

# What was merged into a contact after that, and still is; the oldest first.
list_later = query(
    MergeRow,
    """
    SELECT id, kept_id, merged_id, record, undone_at, created_at
    FROM contact_merges
    WHERE user_id = app.user_id() AND kept_id = $1 AND id > $2 AND undone_at IS NULL
    ORDER BY id
    """,
)

rewrite_record = command(
    "UPDATE contact_merges SET record = $2 WHERE user_id = app.user_id() AND id = $1"
)

list_merges = query(
    MergeRow,
    """
    SELECT id, kept_id, merged_id, record, undone_at, created_at
    FROM contact_merges
    WHERE user_id = app.user_id() AND ($1::uuid IS NULL OR id < $1::uuid)
    ORDER BY id DESC
    LIMIT $2
    """,
)

mark_undone = command(
    """
    UPDATE contact_merges SET undone_at = now()
    WHERE user_id = app.user_id() AND id = $1 AND undone_at IS NULL
    """
)
