-- Ways to people, streaks, achievements and reasons; see functions.sql.

SET LOCAL ROLE ping_definer;

-- The shortest way from a user to one of their contacts, of several the one with the greatest
-- product of strengths. No rows: there is none of so many hops.
--
-- It is looked for from the targets backwards, one hop of all that were reached at a time, until it
-- comes to somebody whom the user knows. Each is reached once, so cycles end nothing but themselves.
-- Whether the next hop comes to somebody known is asked first: the last hop would reach the most.
-- Hops lead over the user's own links of contacts, and over people who are here: over their friends
-- and over those in their address books who are here too, if both have consented to `introductions`
-- and nobody has blocked anybody. Others' contacts who are not here are no part of anything.
-- One query of the caller, one snapshot: the function is STABLE.
CREATE OR REPLACE FUNCTION app.shortest_path_of(owner uuid, targets uuid[], hops_max int)
RETURNS TABLE ("position" int, contact_id uuid, person_id uuid, strength double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 6 SET search_path = ''
-- A plan of its own for each hop: ten are looked up by index, ten thousand are hashed.
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  me uuid := owner;
  strength_min CONSTANT double precision := 0.1; -- weaker ones would not introduce anybody
  friend_strength CONSTANT double precision := 0.6; -- of a friendship, which has none of its own
  hops int := 1;
  -- Of all that were reached: the node, who it is, how it leads on and how strongly.
  nodes uuid[] := '{}';
  people uuid[] := '{}';
  vias uuid[] := '{}';
  ties double precision[] := '{}';
  -- Of those that were reached by the last hop, and what remains of confidence there.
  front uuid[];
  front_people uuid[];
  front_vias uuid[];
  front_ties double precision[];
  front_scores double precision[];
  known_strengths double precision[]; -- NULL: not by the user
  only_known boolean;
  next_front uuid[];
  next_people uuid[];
  next_vias uuid[];
  next_ties double precision[];
  next_scores double precision[];
  known uuid;
  known_strength double precision;
  at int;
BEGIN
  -- A new address book knows nobody yet: all of it would be searched for nothing.
  IF NOT EXISTS (
    SELECT FROM public.contacts AS c
    WHERE c.user_id = me AND c.strength >= strength_min AND c.archived_at IS NULL AND NOT c.is_self
  ) AND NOT EXISTS (SELECT FROM public.friendships AS f WHERE f.user_id = me) THEN
    RETURN;
  END IF;

  SELECT
    array_agg(c.id), array_agg(c.linked_user_id), array_agg(NULL::uuid),
    array_agg(1::double precision), array_agg(1::double precision),
    array_agg(
      greatest(
        CASE WHEN c.strength >= strength_min THEN c.strength END,
        CASE WHEN f.friend_id IS NOT NULL THEN friend_strength END
      )
    )
  INTO front, front_people, front_vias, front_ties, front_scores, known_strengths
  FROM public.contacts AS c
  LEFT JOIN public.friendships AS f ON f.user_id = me AND f.friend_id = c.linked_user_id
  WHERE c.user_id = me AND c.id = ANY (targets) AND c.archived_at IS NULL AND NOT c.is_self;

  WHILE front IS NOT NULL LOOP
    nodes := nodes || front;
    people := people || front_people;
    vias := vias || front_vias;
    ties := ties || front_ties;
    SELECT n.node, n.known_strength INTO known, known_strength
    FROM unnest(front, front_scores, known_strengths) AS n (node, score, known_strength)
    WHERE n.known_strength IS NOT NULL
    ORDER BY n.score * n.known_strength DESC, n.node
    LIMIT 1;
    EXIT WHEN known IS NOT NULL OR hops >= hops_max;
    hops := hops + 1;

    FOREACH only_known IN ARRAY CASE WHEN hops = hops_max THEN '{t}' ELSE '{t,f}' END::boolean[] LOOP
      WITH reached AS MATERIALIZED (
        SELECT n.node, n.person, n.score
        FROM unnest(front, front_people, front_scores) AS n (node, person, score)
      ),
      acquainted AS (
        SELECT c.id
        FROM public.contacts AS c
        WHERE c.user_id = me AND c.strength >= strength_min AND c.archived_at IS NULL
        UNION ALL
        SELECT c.id
        FROM public.friendships AS f
        JOIN public.contacts AS c ON c.user_id = me AND c.linked_user_id = f.friend_id
        WHERE f.user_id = me AND c.archived_at IS NULL
      ),
      -- Most address books have nobody on the way who is here: then nothing of this is asked.
      own_links AS (
        SELECT l.contact_b_id AS node, r.node AS via, l.strength, r.score
        FROM reached AS r
        JOIN public.contact_links AS l ON l.user_id = me AND l.contact_a_id = r.node
        WHERE l.strength >= strength_min
          AND (NOT only_known OR l.contact_b_id IN (SELECT k.id FROM acquainted AS k))
        UNION ALL
        SELECT l.contact_a_id, r.node, l.strength, r.score
        FROM reached AS r
        JOIN public.contact_links AS l ON l.user_id = me AND l.contact_b_id = r.node
        WHERE l.strength >= strength_min
          AND (NOT only_known OR l.contact_a_id IN (SELECT k.id FROM acquainted AS k))
      ),
      acquaintances AS (
        SELECT f.friend_id AS person, r.node AS via, r.person AS other, friend_strength AS strength, r.score
        FROM reached AS r
        JOIN public.friendships AS f ON f.user_id = r.person
        UNION ALL
        SELECT c.user_id, r.node, r.person, c.strength, r.score
        FROM reached AS r
        JOIN public.contacts AS c ON c.linked_user_id = r.person
        WHERE c.archived_at IS NULL AND c.strength >= strength_min
      ),
      over_people AS (
        SELECT coalesce(mine.id, a.person) AS node, a.via, a.strength, a.score, a.person
        FROM acquaintances AS a
        LEFT JOIN LATERAL (
          SELECT c.id
          FROM public.contacts AS c
          WHERE c.user_id = me AND c.linked_user_id = a.person AND c.archived_at IS NULL
          ORDER BY c.id
          LIMIT 1
        ) AS mine ON true
        WHERE a.person <> me
          AND app.allows(a.person, 'introductions')
          AND app.allows(a.other, 'introductions')
          AND NOT app.is_blocked(a.person, a.other)
          AND NOT app.is_blocked(me, a.person)
          AND NOT app.is_blocked(me, a.other)
      ),
      best AS (
        SELECT DISTINCT ON (e.node) e.node, e.person, e.via, e.strength, e.score * e.strength AS score
        FROM (
          SELECT o.node, o.via, o.strength, o.score, NULL::uuid AS person FROM own_links AS o
          UNION ALL
          SELECT p.node, p.via, p.strength, p.score, p.person FROM over_people AS p
        ) AS e
        WHERE e.node <> ALL (nodes)
        ORDER BY e.node, e.score * e.strength DESC, e.via
      )
      SELECT
        array_agg(b.node), array_agg(coalesce(c.linked_user_id, b.person)), array_agg(b.via),
        array_agg(b.strength), array_agg(b.score),
        array_agg(
          greatest(
            CASE WHEN c.strength >= strength_min THEN c.strength END,
            CASE WHEN f.friend_id IS NOT NULL THEN friend_strength END
          )
        )
      INTO next_front, next_people, next_vias, next_ties, next_scores, known_strengths
      FROM best AS b
      LEFT JOIN public.contacts AS c ON c.id = b.node AND c.user_id = me
      LEFT JOIN public.friendships AS f
        ON f.user_id = me AND f.friend_id = coalesce(c.linked_user_id, b.person)
      WHERE (c.id IS NULL AND b.person IS NOT NULL OR (c.archived_at IS NULL AND NOT c.is_self))
        AND (NOT only_known OR c.strength >= strength_min OR f.friend_id IS NOT NULL);
      EXIT WHEN next_front IS NOT NULL;
    END LOOP;
    front := next_front;
    front_people := next_people;
    front_vias := next_vias;
    front_ties := next_ties;
    front_scores := next_scores;
  END LOOP;

  IF known IS NULL THEN
    RETURN;
  END IF;
  strength := known_strength;
  FOR step IN 1..hops LOOP
    at := array_position(nodes, known);
    "position" := step;
    person_id := people[at];
    SELECT c.id INTO contact_id FROM public.contacts AS c WHERE c.id = known AND c.user_id = me;
    RETURN NEXT;
    strength := ties[at];
    known := vias[at];
  END LOOP;
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

-- Trigger on what paths lead over. Arguments: the columns that name whose graph it is.
CREATE OR REPLACE FUNCTION app.note_graph_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.graph_changes (user_id)
  SELECT u.id
  FROM unnest(TG_ARGV) AS a (name)
  JOIN public.users AS u
    ON u.id = (to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END) ->> a.name)::uuid
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
