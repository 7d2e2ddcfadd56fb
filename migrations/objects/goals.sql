-- Ways to people, streaks, achievements and reasons; see functions.sql.

SET LOCAL ROLE ping_definer;

-- The shortest way from a user to one of their contacts, of several the one with the greatest
-- product of strengths. No rows: there is none of so many hops.
--
-- It is looked for from both ends, one hop of all that were reached last from one end at a time, until
-- both come to the same node. Each is reached once from an end, so cycles end nothing but themselves.
-- What both ends meet in was reached last by both, so the best of all shortest ways leads over one of
-- these, and the best way to it from either end is known. Only the last hop may be restricted to what
-- the other end has reached: before, there is no telling what leads on.
-- Hops lead over the user's own links of contacts, and over people who are here: over their friends
-- and over those in their address books who are here too, if both have consented to `introductions`
-- and nobody has blocked anybody. Others' contacts who are not here are no part of anything.
-- `person_id` is who is here and agreed to a hop from or to them, else NULL.
-- One query of the caller, one snapshot: the function is STABLE.
CREATE OR REPLACE FUNCTION app.shortest_path_of(owner uuid, targets uuid[], hops_max int)
RETURNS TABLE ("position" int, contact_id uuid, person_id uuid, strength double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 6 SET search_path = ''
-- A plan of its own for each hop: ten are looked up by index, ten thousand are hashed. In memory, and
-- without compiling, which takes longer than the search.
SET plan_cache_mode = force_custom_plan SET work_mem = '32MB' SET jit = off AS $$
DECLARE
  me CONSTANT uuid := owner;
  strength_min CONSTANT double precision := 0.1; -- weaker ones would not introduce anybody
  friend_strength CONSTANT double precision := 0.6; -- of a friendship, which has none of its own
  shunned uuid[]; -- the user, whom they blocked, and who blocked them: nobody is asked about these
  hops int := 1;
  -- Of all that were reached from either end, one after the other: the node, a contact of the user or
  -- else a person; who it is; the place here of who led to it, how strongly that hop is, and what
  -- remains of confidence there; from which end.
  nodes uuid[];
  people uuid[];
  vias int[];
  ties double precision[];
  scores double precision[];
  sides boolean[]; -- true: from the user
  -- Where those stand that were reached last from either end.
  far_first int := 1;
  far_last int;
  near_first int;
  near_last int;
  first int;
  last int;
  others uuid[];
  is_near boolean;
  near int;
  far int;
  way int[] := '{}';
  way_ties double precision[] := '{}';
BEGIN
  SELECT array_agg(c.id), array_agg(c.linked_user_id), array_agg(NULL::int),
    array_agg(NULL::double precision), array_agg(1::double precision), array_agg(false), count(*)
  INTO nodes, people, vias, ties, scores, sides, far_last
  FROM public.contacts AS c
  WHERE c.user_id = me AND c.id = ANY (targets) AND c.archived_at IS NULL AND NOT c.is_self;

  -- Whom the user knows: the first hop.
  SELECT nodes || array_agg(k.node), people || array_agg(k.person), vias || array_agg(NULL::int),
    ties || array_agg(k.strength), scores || array_agg(k.strength), sides || array_agg(true),
    far_last + 1, far_last + count(*)
  INTO nodes, people, vias, ties, scores, sides, near_first, near_last
  FROM (
    SELECT a.node, a.person, max(a.strength) AS strength
    FROM (
      SELECT c.id AS node, c.linked_user_id AS person, c.strength
      FROM public.contacts AS c
      WHERE c.user_id = me AND c.strength >= strength_min AND c.archived_at IS NULL AND NOT c.is_self
      UNION ALL
      SELECT coalesce(c.id, f.friend_id), f.friend_id, friend_strength
      FROM public.friendships AS f
      LEFT JOIN public.contacts AS c
        ON c.user_id = me AND c.linked_user_id = f.friend_id AND c.archived_at IS NULL
      WHERE f.user_id = me
    ) AS a
    GROUP BY a.node, a.person
  ) AS k;

  shunned := ARRAY(
    SELECT me
    UNION ALL
    SELECT b.blocked_id FROM public.blocks AS b WHERE b.user_id = me
    UNION ALL
    SELECT b.user_id FROM public.blocks AS b WHERE b.blocked_id = me
  );

  LOOP
    SELECT near_first + n.at - 1, far_first + f.at - 1 INTO near, far
    FROM unnest(nodes[near_first:near_last], scores[near_first:near_last])
      WITH ORDINALITY AS n (node, score, at)
    JOIN unnest(nodes[far_first:far_last], scores[far_first:far_last])
      WITH ORDINALITY AS f (node, score, at) ON f.node = n.node
    ORDER BY n.score * f.score DESC, n.node
    LIMIT 1;
    EXIT WHEN near IS NOT NULL;
    IF hops >= hops_max OR near_first > near_last OR far_first > far_last THEN
      RETURN;
    END IF;

    -- From where fewer stand.
    hops := hops + 1;
    is_near := near_last - near_first < far_last - far_first;
    first := CASE WHEN is_near THEN near_first ELSE far_first END;
    last := CASE WHEN is_near THEN near_last ELSE far_last END;
    others := CASE WHEN is_near THEN nodes[far_first:far_last] ELSE nodes[near_first:near_last] END;

    WITH reached AS MATERIALIZED (
      SELECT n.node, n.person, n.score, (first + n.at - 1)::int AS via
      FROM unnest(nodes[first:last], people[first:last], scores[first:last])
        WITH ORDINALITY AS n (node, person, score, at)
    ),
    asked AS MATERIALIZED (
      SELECT r.person, r.via, r.score
      FROM unnest(array_remove(people[first:last], NULL)) AS p (person)
      JOIN public.users AS u ON u.id = p.person AND u.deleted_at IS NULL
      JOIN public.consents AS s
        ON s.user_id = p.person AND s.purpose = 'introductions' AND s.granted
      JOIN reached AS r ON r.person = p.person
      WHERE p.person <> ALL (shunned)
    ),
    acquaintances AS (
      SELECT f.friend_id AS person, a.person AS other, a.via, friend_strength AS strength, a.score
      FROM asked AS a
      JOIN public.friendships AS f ON f.user_id = a.person
      UNION ALL
      SELECT c.linked_user_id, a.person, a.via, c.strength, a.score
      FROM asked AS a
      JOIN public.contacts AS c ON c.user_id = a.person
      WHERE is_near AND c.linked_user_id IS NOT NULL
        AND c.archived_at IS NULL AND c.strength >= strength_min
      UNION ALL
      SELECT c.user_id, a.person, a.via, c.strength, a.score
      FROM asked AS a
      JOIN public.contacts AS c ON c.linked_user_id = a.person
      WHERE NOT is_near AND c.archived_at IS NULL AND c.strength >= strength_min
    ),
    arrivals AS (
      SELECT l.contact_b_id AS node, r.via, l.strength, r.score
      FROM reached AS r
      JOIN public.contact_links AS l ON l.user_id = me AND l.contact_a_id = r.node
      WHERE l.strength >= strength_min
      UNION ALL
      SELECT l.contact_a_id, r.via, l.strength, r.score
      FROM reached AS r
      JOIN public.contact_links AS l ON l.user_id = me AND l.contact_b_id = r.node
      WHERE l.strength >= strength_min
      UNION ALL
      SELECT coalesce(c.id, a.person), a.via, a.strength, a.score
      FROM acquaintances AS a
      JOIN public.users AS u ON u.id = a.person AND u.deleted_at IS NULL
      JOIN public.consents AS s
        ON s.user_id = a.person AND s.purpose = 'introductions' AND s.granted
      LEFT JOIN public.contacts AS c
        ON c.user_id = me AND c.linked_user_id = a.person AND c.archived_at IS NULL
      WHERE a.person <> ALL (shunned)
        AND NOT EXISTS (
          SELECT FROM public.blocks AS b WHERE b.user_id = a.person AND b.blocked_id = a.other
        )
        AND NOT EXISTS (
          SELECT FROM public.blocks AS b WHERE b.user_id = a.other AND b.blocked_id = a.person
        )
    ),
    best AS (
      SELECT DISTINCT ON (e.node) e.node, e.via, e.strength, e.score * e.strength AS score
      FROM arrivals AS e
      WHERE NOT EXISTS (
          SELECT FROM unnest(nodes, sides) AS k (node, side)
          WHERE k.node = e.node AND k.side = is_near
        )
        AND (hops < hops_max OR e.node IN (SELECT o.node FROM unnest(others) AS o (node)))
      ORDER BY e.node, e.score * e.strength DESC, e.via
    )
    SELECT nodes || array_agg(b.node),
      people || array_agg(CASE WHEN c.id IS NULL THEN b.node ELSE c.linked_user_id END),
      vias || array_agg(b.via), ties || array_agg(b.strength), scores || array_agg(b.score),
      sides || array_agg(is_near)
    INTO nodes, people, vias, ties, scores, sides
    FROM best AS b
    LEFT JOIN public.contacts AS c ON c.user_id = me AND c.id = b.node
    WHERE c.id IS NULL OR (c.archived_at IS NULL AND NOT c.is_self);

    first := greatest(near_last, far_last) + 1;
    last := cardinality(nodes);
    IF is_near THEN
      near_first := first;
      near_last := last;
    ELSE
      far_first := first;
      far_last := last;
    END IF;
  END LOOP;

  WHILE near IS NOT NULL LOOP
    way := near || way;
    way_ties := ties[near] || way_ties;
    near := vias[near];
  END LOOP;
  WHILE vias[far] IS NOT NULL LOOP
    way := way || vias[far];
    way_ties := way_ties || ties[far];
    far := vias[far];
  END LOOP;
  RETURN QUERY
  WITH steps AS (
    SELECT w.step::int AS step, nullif(nodes[w.at], people[w.at]) AS contact, people[w.at] AS person, w.tie
    FROM unnest(way, way_ties) WITH ORDINALITY AS w (at, tie, step)
  ),
  -- Where an own link is as strong, nobody had to agree, and nobody who takes their word back is missed.
  over_people AS (
    SELECT s.step
    FROM steps AS s
    JOIN steps AS b ON b.step = s.step - 1
    WHERE NOT EXISTS (
      SELECT FROM public.contact_links AS l
      WHERE l.user_id = me AND l.strength = s.tie
        AND (l.contact_a_id, l.contact_b_id)
        = (least(b.contact, s.contact), greatest(b.contact, s.contact))
    )
  )
  SELECT s.step, s.contact, CASE WHEN o.step IS NOT NULL THEN s.person END, s.tie
  FROM steps AS s
  LEFT JOIN LATERAL (
    SELECT p.step FROM over_people AS p WHERE p.step IN (s.step, s.step + 1) LIMIT 1
  ) AS o ON true
  ORDER BY s.step;
END
$$;

-- The actor's own; that of others is for the hub's processes.
CREATE OR REPLACE FUNCTION app.shortest_path(targets uuid[], hops_max int)
RETURNS TABLE ("position" int, contact_id uuid, person_id uuid, strength double precision)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 6 SET search_path = '' AS $$
  SELECT p."position", p.contact_id, p.person_id, p.strength
  FROM app.shortest_path_of(app.user_id(), shortest_path.targets, shortest_path.hops_max) AS p
$$;

-- The actor's own search of that digest, as long as nothing that it rests on has changed since: neither
-- their graph nor that of anybody on the way. Others' new friends it may know up to an hour late.
CREATE OR REPLACE FUNCTION app.read_path(asked bytea) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT s.steps
  FROM public.path_searches AS s
  WHERE s.user_id = app.user_id()
    AND s.digest = read_path.asked
    AND s.searched_at > now() - interval '1 hour'
    AND NOT EXISTS (
      SELECT FROM public.graph_changes AS g
      WHERE g.user_id = ANY (s.people || s.user_id) AND NOT pg_visible_in_snapshot(g.xid, s.seen)
    )
    AND (SELECT count(*) FROM public.users AS u WHERE u.id = ANY (s.people) AND u.deleted_at IS NULL)
      = cardinality(s.people)
$$;

-- Trigger on what paths lead over: whose graph is another one now. A block changes that of both.
CREATE OR REPLACE FUNCTION app.note_graph_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  concerned uuid[];
BEGIN
  -- By name, not from a row as JSON: the first night changes the strength of a whole address book.
  IF TG_OP = 'DELETE' THEN
    concerned := ARRAY[OLD.user_id];
  ELSE
    concerned := ARRAY[NEW.user_id];
  END IF;
  IF TG_TABLE_NAME = 'blocks' THEN
    concerned := concerned || coalesce(NEW.blocked_id, OLD.blocked_id);
  END IF;
  INSERT INTO public.graph_changes (user_id)
  SELECT u.id FROM public.users AS u WHERE u.id = ANY (concerned)
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;

-- Trigger for statements, with the rows as `changed`: an import of thousands writes one row.
CREATE OR REPLACE FUNCTION app.note_graph_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.graph_changes (user_id)
  SELECT DISTINCT c.user_id FROM changed AS c JOIN public.users AS u ON u.id = c.user_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;

-- Trigger: evidence goes with what it proves. Argument: the subject's type.
CREATE OR REPLACE FUNCTION app.drop_evidence() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  DELETE FROM public.evidence WHERE subject_type = TG_ARGV[0] AND subject_id = OLD.id;
  RETURN NULL;
END
$$;

-- Trigger: an unlocked achievement is told of with its name, which stands elsewhere.
CREATE OR REPLACE FUNCTION app.emit_achievement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.emit(
    TG_ARGV[0], NEW.user_id, 'achievement', NEW.achievement_id,
    jsonb_build_object(
      'achievement_id', a.id, 'code', a.code, 'name', a.name, 'tier', a.tier, 'points', a.points,
      'unlocked_at', NEW.unlocked_at
    )
  )
  FROM public.achievements AS a
  WHERE a.id = NEW.achievement_id;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
