-- What imports need to know of contacts; see functions.sql.

SET LOCAL ROLE ping_definer;

-- What somebody would have changed by hand. Notes are as they are sealed: after a rotation of keys they
-- seem to be changed, and what seems changed stays. What the hub counts (strength, the last
-- interaction) or matches is nobody's change.
CREATE OR REPLACE FUNCTION app.contact_fingerprint(owner uuid, contact uuid) RETURNS bytea
LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT sha256(
    convert_to(
      ROW(
        c.full_name, c.first_name, c.last_name, c.company, c.job_title, c.linkedin_url,
        c.avatar_url, c.location, c.bio, c.notes, c.birthday, c.context,
        c.frequency, c.tags, c.archived_at, c.merged_into_id,
        CASE WHEN c.linked_by IS DISTINCT FROM 'match' THEN c.linked_user_id END,
        ARRAY(
          SELECT ROW(m.id, m.kind, m.label, m.is_primary, m.updated_at)::text
          FROM public.contact_methods AS m
          WHERE m.user_id = c.user_id AND m.contact_id = c.id
          ORDER BY m.id
        )
      )::text,
      'UTF8'
    )
  )
  FROM public.contacts AS c
  WHERE c.user_id = owner AND c.id = contact
$$;

SET LOCAL ROLE ping_owner;
