-- Functions of interactions; see functions.sql.

SET LOCAL ROLE ping_definer;

-- With whom else of the address book interactions were: with all who took part, each once. Of one that
-- somebody else began, whom they wrote to beside is nobody's contact.
CREATE OR REPLACE FUNCTION app.contacts_beside() RETURNS TABLE (
  user_id uuid, contact_id uuid, interaction_id uuid, occurred_at timestamptz, direction text,
  duration_seconds int, is_private boolean
)
LANGUAGE sql STABLE AS $$
  -- Not by looking for an earlier row of each: that is planned to compare all of a contact's rows.
  SELECT DISTINCT
    p.user_id, p.contact_id, p.interaction_id, p.occurred_at, i.direction, i.duration_seconds,
    p.is_private
  FROM public.interaction_participants AS p
  JOIN public.interactions AS i ON i.user_id = p.user_id AND i.id = p.interaction_id
  WHERE p.contact_id IS NOT NULL
    AND i.direction <> 'inbound'
    AND i.contact_id IS DISTINCT FROM p.contact_id
$$;

-- Whom of the address book interactions were with, each once. As a view: what callers ask goes into
-- both indexes of contacts, as long as PostgreSQL can put this text in place of the call.
CREATE OR REPLACE FUNCTION app.contacts_met() RETURNS TABLE (
  user_id uuid, contact_id uuid, interaction_id uuid, occurred_at timestamptz, direction text,
  duration_seconds int, is_private boolean
)
LANGUAGE sql STABLE AS $$
  SELECT i.user_id, i.contact_id, i.id, i.occurred_at, i.direction, i.duration_seconds, i.is_private
  FROM public.interactions AS i
  WHERE i.contact_id IS NOT NULL
  UNION ALL
  SELECT b.user_id, b.contact_id, b.interaction_id, b.occurred_at, b.direction, b.duration_seconds,
    b.is_private
  FROM app.contacts_beside() AS b
$$;

-- When one last had to do with contacts, of each of whom something at a time is another than before.
CREATE OR REPLACE FUNCTION app.renew_last_interactions(
  owners uuid[], contacts uuid[], times timestamptz[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  concerned uuid[];
BEGIN
  -- In one order, so that two that write of the same people cannot wait for each other; and before
  -- the look, which then sees what those had written who held the locks.
  SELECT array_agg(k.id)
  INTO concerned
  FROM (
    SELECT c.id
    FROM (
      SELECT t.user_id, t.contact_id, max(t.at) AS at
      FROM unnest(owners, contacts, times) AS t (user_id, contact_id, at)
      GROUP BY t.user_id, t.contact_id
    ) AS changed
    JOIN public.contacts AS c ON c.user_id = changed.user_id AND c.id = changed.contact_id
    WHERE NOT c.is_self AND (c.last_interaction_at IS NULL OR c.last_interaction_at <= changed.at)
    ORDER BY c.id
    FOR NO KEY UPDATE OF c
  ) AS k;
  UPDATE public.contacts AS c
  SET last_interaction_at = met.at
  FROM (
    SELECT k.id, (
      SELECT m.occurred_at
      FROM app.contacts_met() AS m
      WHERE m.user_id = k.user_id AND m.contact_id = k.id
        AND m.occurred_at <= now() + interval '5 minutes'
      ORDER BY m.occurred_at DESC
      LIMIT 1
    ) AS at
    FROM public.contacts AS k
    WHERE k.id = ANY(concerned)
  ) AS met
  WHERE c.id = met.id AND c.last_interaction_at IS DISTINCT FROM met.at;
END
$$;

-- Trigger: when one last had to do with a contact, as far as it has been: by clocks that may be
-- minutes ahead, and a transaction that began before.
CREATE OR REPLACE FUNCTION app.note_interactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  WITH latest AS (
    SELECT n.user_id, n.contact_id, max(n.occurred_at) AS at
    FROM new_rows AS n
    WHERE n.contact_id IS NOT NULL AND n.occurred_at <= now() + interval '5 minutes'
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

-- Trigger: what was recorded of a contact while it was merged belongs to the one that was kept.
CREATE OR REPLACE FUNCTION app.follow_merges() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  moved int;
BEGIN
  LOOP -- the one that was kept may have been merged since
    EXECUTE format(
      'UPDATE public.%I AS t
       SET contact_id = c.merged_into_id
       FROM new_rows AS n, public.contacts AS c
       WHERE t.user_id = n.user_id
         AND t.id = n.id
         AND c.user_id = t.user_id
         AND c.id = t.contact_id
         AND c.merged_into_id IS NOT NULL',
      TG_TABLE_NAME
    );
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXIT WHEN moved = 0;
  END LOOP;
  RETURN NULL;
END
$$;

-- Trigger: when one last had to do with a contact, now that the last time has gone or moved.
CREATE OR REPLACE FUNCTION app.forget_interactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.renew_last_interactions(
    array_agg(o.user_id), array_agg(o.contact_id), array_agg(o.occurred_at)
  )
  FROM old_rows AS o
  WHERE o.contact_id IS NOT NULL;
  RETURN NULL;
END
$$;

-- Trigger: a participant is as private as the interaction, and at its time.
CREATE OR REPLACE FUNCTION app.fill_participant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  SELECT i.occurred_at, i.is_private INTO NEW.occurred_at, NEW.is_private
  FROM public.interactions AS i
  WHERE i.user_id = NEW.user_id AND i.id = NEW.interaction_id;
  IF NOT FOUND THEN
    -- The foreign key says what is wrong.
    NEW.occurred_at := now();
    NEW.is_private := true;
  END IF;
  RETURN NEW;
END
$$;

-- Trigger: and stays so.
CREATE OR REPLACE FUNCTION app.follow_interactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.interaction_participants AS p
  SET occurred_at = n.occurred_at, is_private = n.is_private
  FROM new_rows AS n
  WHERE p.user_id = n.user_id AND p.interaction_id = n.id
    AND (p.occurred_at, p.is_private) IS DISTINCT FROM (n.occurred_at, n.is_private);
  RETURN NULL;
END
$$;

-- The actor's interactions with these words, the latest first, at most `most` before a position.
-- Policies would have every row of the user read: `@@` may not look at rows that are not yet known to
-- be theirs. So it runs without them and asks itself what they ask.
--
-- Frequent words stand in the newest rows already, in their order; of rare ones the index of words
-- has all rows at once. Which of the two it is shows by trying, as no statistics tell. So with a
-- contact, of whose newest rows mostly none is left out.
CREATE OR REPLACE FUNCTION app.search_interactions(
  wanted text, since timestamptz, until timestamptz, contact uuid, kind text, direction text,
  before_at timestamptz, before_id uuid, most int
) RETURNS TABLE (id uuid, occurred_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 50 SECURITY DEFINER
SET search_path = '' SET plan_cache_mode = 'force_custom_plan' AS $$
#variable_conflict use_column
DECLARE
  me uuid := app.user_id();
  by_key boolean := coalesce(current_setting('app.actor_kind', true), '') = 'api_key';
  words tsquery := websearch_to_tsquery('pg_catalog.simple', app.plain_text(wanted));
  newest int := 5000;
  found_ids uuid[];
  found_times timestamptz[];
  looked_at int;
BEGIN
  IF me IS NULL OR numnode(words) = 0 THEN
    RETURN;
  END IF;
  IF contact IS NOT NULL THEN
    WITH theirs AS MATERIALIZED (
      SELECT t.id, t.occurred_at
      FROM (
        (
          SELECT i.id, i.occurred_at
          FROM public.interactions AS i
          WHERE i.user_id = me AND i.contact_id = contact
            AND (since IS NULL OR i.occurred_at >= since)
            AND (until IS NULL OR i.occurred_at < until)
            AND (before_id IS NULL OR (i.occurred_at, i.id) < (before_at, before_id))
          ORDER BY i.occurred_at DESC, i.id DESC
          LIMIT newest
        )
        UNION
        (
          SELECT p.interaction_id, p.occurred_at
          FROM public.interaction_participants AS p
          WHERE p.user_id = me AND p.contact_id = contact
            AND (since IS NULL OR p.occurred_at >= since)
            AND (until IS NULL OR p.occurred_at < until)
            AND (
              before_id IS NULL OR (p.occurred_at, p.interaction_id) < (before_at, before_id)
            )
          ORDER BY p.occurred_at DESC, p.interaction_id DESC
          LIMIT newest
        )
      ) AS t
      ORDER BY t.occurred_at DESC, t.id DESC
      LIMIT newest
    ),
    found AS (
      SELECT t.id, t.occurred_at
      FROM theirs AS t
      JOIN public.interactions AS i ON i.user_id = me AND i.id = t.id
      -- Not as an operator that the index of words has: the rows are known already.
      WHERE (i.tsv @@ words) IS TRUE
        AND (search_interactions.kind IS NULL OR i.kind = search_interactions.kind)
        AND (search_interactions.direction IS NULL OR i.direction = search_interactions.direction)
        AND NOT (by_key AND i.is_private)
      ORDER BY t.occurred_at DESC, t.id DESC
      LIMIT most
    )
    SELECT array_agg(f.id), array_agg(f.occurred_at), (SELECT count(*) FROM theirs)
    INTO found_ids, found_times, looked_at
    FROM found AS f;
    IF looked_at < newest OR cardinality(found_ids) = most THEN
      RETURN QUERY SELECT * FROM unnest(found_ids, found_times);
      RETURN;
    END IF;
    RETURN QUERY
    WITH matching AS MATERIALIZED (
      SELECT i.id, i.occurred_at, i.kind, i.direction, i.is_private
      FROM public.interactions AS i
      WHERE i.user_id = me AND i.contact_id = contact AND i.tsv @@ words
      UNION
      SELECT i.id, i.occurred_at, i.kind, i.direction, i.is_private
      FROM public.interaction_participants AS p
      JOIN public.interactions AS i ON i.user_id = me AND i.id = p.interaction_id
      WHERE p.user_id = me AND p.contact_id = contact AND i.tsv @@ words
    )
    SELECT m.id, m.occurred_at
    FROM matching AS m
    WHERE (search_interactions.kind IS NULL OR m.kind = search_interactions.kind)
      AND (search_interactions.direction IS NULL OR m.direction = search_interactions.direction)
      AND (since IS NULL OR m.occurred_at >= since)
      AND (until IS NULL OR m.occurred_at < until)
      AND (before_id IS NULL OR (m.occurred_at, m.id) < (before_at, before_id))
      AND NOT (by_key AND m.is_private)
    ORDER BY m.occurred_at DESC, m.id DESC
    LIMIT most;
    RETURN;
  END IF;
  IF most < newest THEN
    SELECT array_agg(f.id), array_agg(f.occurred_at)
    INTO found_ids, found_times
    FROM (
      SELECT n.id, n.occurred_at
      FROM (
        SELECT i.id, i.occurred_at, i.tsv
        FROM public.interactions AS i
        WHERE i.user_id = me
          AND (search_interactions.kind IS NULL OR i.kind = search_interactions.kind)
          AND (search_interactions.direction IS NULL OR i.direction = search_interactions.direction)
          AND (since IS NULL OR i.occurred_at >= since)
          AND (until IS NULL OR i.occurred_at < until)
          AND (before_id IS NULL OR (i.occurred_at, i.id) < (before_at, before_id))
          AND NOT (by_key AND i.is_private)
        ORDER BY i.occurred_at DESC, i.id DESC
        LIMIT newest
      ) AS n
      WHERE n.tsv @@ words
      LIMIT most
    ) AS f;
    IF cardinality(found_ids) = most THEN
      RETURN QUERY SELECT * FROM unnest(found_ids, found_times);
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
  -- Materialized: with the limit in sight, the planner would hope for an early end.
  WITH matching AS MATERIALIZED (
    SELECT i.id, i.occurred_at
    FROM public.interactions AS i
    WHERE i.user_id = me
      AND i.tsv @@ words
      AND (search_interactions.kind IS NULL OR i.kind = search_interactions.kind)
      AND (search_interactions.direction IS NULL OR i.direction = search_interactions.direction)
      AND (since IS NULL OR i.occurred_at >= since)
      AND (until IS NULL OR i.occurred_at < until)
      AND (before_id IS NULL OR (i.occurred_at, i.id) < (before_at, before_id))
      AND NOT (by_key AND i.is_private)
  )
  SELECT m.id, m.occurred_at
  FROM matching AS m
  ORDER BY m.occurred_at DESC, m.id DESC
  LIMIT most;
END
$$;

SET LOCAL ROLE ping_owner;
