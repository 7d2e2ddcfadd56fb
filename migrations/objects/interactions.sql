-- Functions of interactions; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Trigger: when one last had to do with a contact, as far as it has been.
CREATE OR REPLACE FUNCTION app.note_interactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  WITH latest AS (
    SELECT n.user_id, n.contact_id, max(n.occurred_at) AS at
    FROM new_rows AS n
    WHERE n.contact_id IS NOT NULL AND n.occurred_at <= now()
    GROUP BY n.user_id, n.contact_id
  ),
  -- In one order, so that two that write of the same people cannot wait for each other.
  locked AS (
    SELECT c.id, l.at
    FROM latest AS l
    JOIN public.contacts AS c ON c.user_id = l.user_id AND c.id = l.contact_id
    WHERE c.last_interaction_at IS NULL OR c.last_interaction_at < l.at
    ORDER BY c.id
    FOR NO KEY UPDATE OF c
  )
  UPDATE public.contacts AS c
  SET last_interaction_at = greatest(c.last_interaction_at, k.at)
  FROM locked AS k
  WHERE c.id = k.id;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
