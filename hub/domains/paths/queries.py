"""SQL of paths; rows are fenced by owner, the search is a function that knows whom it may ask."""

from uuid import UUID

from core.db import command, query
from hub.domains.paths.schemas import Person, StoredPath, StoredStep

# By columns that a trigger keeps plain, so that an index finds them; words of a name in any order.
find_targets = query(
    UUID,
    """
    SELECT id
    FROM contacts
    WHERE user_id = app.user_id()
        AND archived_at IS NULL
        AND NOT is_self
        AND ($1::uuid IS NULL OR id = $1::uuid)
        AND ($2::text IS NULL OR name_words = array_to_string(app.plain_words($2::text), ' '))
        AND ($3::text IS NULL OR company_plain = app.plain_text(btrim($3::text)))
        AND ($4::text IS NULL OR app.plain_text(job_title) = app.plain_text(btrim($4::text)))
    ORDER BY strength DESC, id DESC
    LIMIT 100
    """,
)

# Where nobody has that name: whose name has all its words among others.
find_targets_by_part = query(
    UUID,
    """
    SELECT c.id
    FROM app.search_contacts($2, false, NULL, 100) AS s (id)
    JOIN contacts AS c ON c.id = s.id
    WHERE c.user_id = app.user_id()
        AND string_to_array(c.name_words, ' ') @> app.plain_words($2::text)
        AND ($1::uuid IS NULL OR c.id = $1::uuid)
        AND ($3::text IS NULL OR c.company_plain = app.plain_text(btrim($3::text)))
        AND ($4::text IS NULL OR app.plain_text(c.job_title) = app.plain_text(btrim($4::text)))
    ORDER BY c.strength DESC, c.id DESC
    """,
)

read_search = query(str, "SELECT app.read_path($1)::text")

# Before a new one: which of two at once is kept does not matter.
forget_search = command("DELETE FROM path_searches WHERE user_id = app.user_id() AND digest = $1")

# In one statement, and so of one snapshot: what a change after it makes of the answer is known.
search = query(
    str,
    """
    WITH found AS MATERIALIZED (
        SELECT p.position, p.contact_id, p.person_id, p.strength
        FROM app.shortest_path($2, $3) AS p
    ),
    kept AS (
        INSERT INTO path_searches (digest, steps, people, seen)
        SELECT
            $1,
            coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'position', f.position, 'contact_id', f.contact_id,
                        'person_id', f.person_id, 'strength', f.strength
                    )
                    ORDER BY f.position
                ),
                '[]'
            ),
            coalesce(array_agg(DISTINCT f.person_id) FILTER (WHERE f.person_id IS NOT NULL), '{}'),
            pg_current_snapshot()
        FROM found AS f
        ON CONFLICT (user_id, digest) DO NOTHING
        RETURNING digest
    )
    SELECT
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'position', f.position, 'contact_id', f.contact_id,
                    'person_id', f.person_id, 'strength', f.strength
                )
                ORDER BY f.position
            ),
            '[]'
        )::text
    FROM found AS f
    """,
)

name_contacts = query(
    Person, "SELECT id, full_name AS name FROM contacts WHERE id = ANY($1::uuid[])"
)

# Only profiles that the policy shows to the actor.
name_people = query(
    Person,
    "SELECT user_id AS id, display_name AS name FROM profiles WHERE user_id = ANY($1::uuid[])",
)

count_paths = query(int, "SELECT count(*) FROM connection_paths")

add_path = query(
    UUID,
    """
    INSERT INTO connection_paths (
        goal_id, target_contact_id, target_name, target_company, target_role, length, confidence
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING id
    """,
)

add_steps = command(
    """
    INSERT INTO connection_path_steps (path_id, position, contact_id, person_id, strength)
    SELECT $1::uuid, s.position, s.contact_id, s.person_id, s.strength
    FROM unnest($2::int[], $3::uuid[], $4::uuid[], $5::float8[])
        AS s (position, contact_id, person_id, strength)
    """
)

list_paths = query(
    StoredPath,
    """
    SELECT id, goal_id, target_contact_id, target_name, target_company, target_role, length,
        confidence, status, created_at, updated_at
    FROM connection_paths
    WHERE user_id = app.user_id()
        AND ($1::uuid IS NULL OR id < $1::uuid)
        AND ($2::text IS NULL OR status = $2::text)
        AND ($3::uuid IS NULL OR goal_id = $3::uuid)
    ORDER BY id DESC
    LIMIT $4
    """,
)

find_path = query(
    StoredPath,
    """
    SELECT id, goal_id, target_contact_id, target_name, target_company, target_role, length,
        confidence, status, created_at, updated_at
    FROM connection_paths
    WHERE id = $1
    """,
)

list_steps = query(
    StoredStep,
    """
    SELECT path_id, position, contact_id, person_id, strength
    FROM connection_path_steps
    WHERE path_id = ANY($1::uuid[])
    ORDER BY path_id, position
    """,
)

change_path = command(
    "UPDATE connection_paths SET status = coalesce($2, status), goal_id = $3 WHERE id = $1"
)

remove_path = command("DELETE FROM connection_paths WHERE id = $1")

# Whoever takes their word back is on no kept path any more, and nobody can go on with it.
forget_person = command(
    """
    WITH forgotten AS (
        UPDATE connection_path_steps
        SET person_id = NULL
        WHERE person_id = $1
        RETURNING path_id
    )
    UPDATE connection_paths
    SET status = 'blocked'
    WHERE id IN (SELECT path_id FROM forgotten) AND status <> 'completed'
    """,
    login="system",
)

purge_searches = command(
    """
    DELETE FROM path_searches
    WHERE (user_id, digest) IN (
        SELECT user_id, digest
        FROM path_searches
        WHERE searched_at < now() - interval '1 hour'
        LIMIT $1
    )
    """,
    login="system",
)

# Twice as long as the searches: one that was read just before its end is still checked.
purge_changes = command(
    """
    DELETE FROM graph_changes
    WHERE (user_id, xid) IN (
        SELECT user_id, xid
        FROM graph_changes
        WHERE changed_at < now() - interval '2 hours'
        LIMIT $1
    )
    """,
    login="system",
)
