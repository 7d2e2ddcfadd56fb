-- Functions of circles and of the health of relationships; see functions.sql.

SET LOCAL ROLE ping_owner;

-- Whole months of snapshots that nobody may look at any more. The default partition has what was there
-- before its month had one.
CREATE OR REPLACE FUNCTION app.drop_health_snapshots(months_kept int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  child text;
  oldest date := date_trunc(
    'month', (now() AT TIME ZONE 'UTC') - make_interval(months => months_kept)
  );
  dropped int := 0;
BEGIN
  FOR child IN
    SELECT c.relname
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.health_snapshots'::regclass
      AND c.relname ~ '^health_snapshots_\d{4}_\d{2}$'
      AND c.relname < 'health_snapshots' || to_char(oldest, '"_"YYYY"_"MM') COLLATE "C"
  LOOP
    EXECUTE format('DROP TABLE public.%I', child);
    dropped := dropped + 1;
  END LOOP;
  DELETE FROM public.health_snapshots_default AS d WHERE d.taken_on < oldest;
  RETURN dropped;
END
$$;

SET LOCAL ROLE ping_definer;

-- Trigger: whom one was in touch with, nobody needs to be reminded of any more.
CREATE OR REPLACE FUNCTION app.settle_nudges() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  -- Before what hangs on it: a merge moves both.
  PERFORM FROM public.contacts AS c
  WHERE c.user_id = NEW.user_id AND c.id = NEW.contact_id
  FOR NO KEY UPDATE;
  UPDATE public.nudges AS n
  SET status = 'done', closed_at = now()
  WHERE n.user_id = NEW.user_id
    AND n.contact_id = NEW.contact_id
    AND n.status = 'open'
    AND n.kind IN ('going_cold', 'follow_up');
  RETURN NULL;
END
$$;

-- Trigger: the first circle of a contact is its primary one. Whoever puts it into another circle, or
-- takes it out of one, waits: each would otherwise take what it sees for all there is.
CREATE OR REPLACE FUNCTION app.choose_primary_circle() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM FROM public.contacts AS c
  WHERE c.user_id = NEW.user_id AND c.id = NEW.contact_id
  FOR NO KEY UPDATE;
  NEW.is_primary := NOT EXISTS (
    SELECT FROM public.circle_members AS m
    WHERE m.user_id = NEW.user_id AND m.contact_id = NEW.contact_id AND m.is_primary
  );
  RETURN NEW;
END
$$;

-- Trigger: when a contact's primary circle is gone, the closest of the others takes its place.
CREATE OR REPLACE FUNCTION app.follow_primary_circle() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM FROM public.contacts AS c
  WHERE c.user_id = OLD.user_id AND c.id = OLD.contact_id
  FOR NO KEY UPDATE;
  UPDATE public.circle_members AS m
  SET is_primary = true
  WHERE m.user_id = OLD.user_id
    AND m.contact_id = OLD.contact_id
    AND m.circle_id = (
      SELECT left_over.circle_id
      FROM public.circle_members AS left_over
      JOIN public.circles AS c ON c.user_id = left_over.user_id AND c.id = left_over.circle_id
      WHERE left_over.user_id = OLD.user_id AND left_over.contact_id = OLD.contact_id
      ORDER BY c.tier, c.position, c.id
      LIMIT 1
    );
  RETURN NULL;
END
$$;

-- Makes one of a contact's circles its primary one, in an order in which there is never a second.
CREATE OR REPLACE FUNCTION app.set_primary_circle(circle uuid, contact uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM FROM public.contacts AS c
  WHERE c.user_id = app.user_id() AND c.id = contact
  FOR NO KEY UPDATE;
  UPDATE public.circle_members AS m
  SET is_primary = false
  WHERE m.user_id = app.user_id() AND m.contact_id = contact AND m.is_primary
    AND m.circle_id <> circle;
  UPDATE public.circle_members AS m
  SET is_primary = true
  WHERE m.user_id = app.user_id() AND m.contact_id = contact AND m.circle_id = circle
    AND NOT m.is_primary;
END
$$;

-- What the health of contacts is measured by has changed: of each once. Of accounts and contacts that are
-- going, nobody is told.
CREATE OR REPLACE FUNCTION app.emit_closeness_of(type text, owners uuid[], contacts uuid[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.emit(type, c.user_id, 'contact', c.id, jsonb_build_object('contact_id', c.id))
  FROM (
    SELECT DISTINCT t.user_id, t.contact_id FROM unnest(owners, contacts) AS t (user_id, contact_id)
  ) AS k
  JOIN public.contacts AS c
    ON c.user_id = k.user_id AND c.id = k.contact_id AND NOT c.is_self
  JOIN public.users AS u ON u.id = c.user_id;
END
$$;

-- Trigger: of a contact itself, or of what names one.
CREATE OR REPLACE FUNCTION app.emit_closeness() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  fields jsonb := to_jsonb(coalesce(NEW, OLD));
BEGIN
  PERFORM app.emit_closeness_of(
    TG_ARGV[0],
    ARRAY[(fields ->> 'user_id')::uuid],
    ARRAY[(fields ->> TG_ARGV[1])::uuid]
  );
  RETURN NULL;
END
$$;

-- Trigger: for all whose interactions are others than before, or gone. Whoever took part learns here what
-- their own rows do not say.
CREATE OR REPLACE FUNCTION app.emit_closeness_of_interactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  owners uuid[];
  contacts uuid[];
  times timestamptz[];
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM app.emit_closeness_of(TG_ARGV[0], array_agg(o.user_id), array_agg(o.contact_id))
    FROM old_rows AS o;
  ELSE
    -- No join of the two: its plan would be kept from when they were empty, and of a merge that moves
    -- 20,000 rows each would be compared with all others.
    SELECT array_agg(p.user_id), array_agg(p.contact_id), array_agg(p.occurred_at)
    INTO owners, contacts, times
    FROM (
      SELECT user_id, id, direction, duration_seconds FROM new_rows
      EXCEPT
      SELECT user_id, id, direction, duration_seconds FROM old_rows
    ) AS n
    JOIN public.interaction_participants AS p
      ON p.user_id = n.user_id AND p.interaction_id = n.id AND p.contact_id IS NOT NULL;
    PERFORM app.renew_last_interactions(owners, contacts, times);
    PERFORM app.emit_closeness_of(
      TG_ARGV[0], owners || array_agg(d.user_id), contacts || array_agg(d.contact_id)
    )
    FROM (
      (
        SELECT user_id, id, contact_id, occurred_at, direction, duration_seconds FROM old_rows
        EXCEPT
        SELECT user_id, id, contact_id, occurred_at, direction, duration_seconds FROM new_rows
      )
      UNION ALL
      (
        SELECT user_id, id, contact_id, occurred_at, direction, duration_seconds FROM new_rows
        EXCEPT
        SELECT user_id, id, contact_id, occurred_at, direction, duration_seconds FROM old_rows
      )
    ) AS d;
  END IF;
  RETURN NULL;
END
$$;

-- Trigger: for all who have come to take part in interactions, or do so no more, or at another time. Who
-- went is told of whether it counted or not: the interaction may have gone with them.
CREATE OR REPLACE FUNCTION app.emit_closeness_of_participants() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  owners uuid[];
  contacts uuid[];
  times timestamptz[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(n.user_id), array_agg(n.contact_id), array_agg(n.occurred_at)
    INTO owners, contacts, times
    FROM new_rows AS n
    WHERE n.contact_id IS NOT NULL
      AND EXISTS (
        SELECT FROM app.contacts_beside() AS b
        WHERE b.user_id = n.user_id
          AND b.interaction_id = n.interaction_id
          AND b.contact_id = n.contact_id
          AND b.occurred_at = n.occurred_at -- as always, so that either index leads to few
      );
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(o.user_id), array_agg(o.contact_id), array_agg(o.occurred_at)
    INTO owners, contacts, times
    FROM old_rows AS o
    WHERE o.contact_id IS NOT NULL;
  ELSE
    SELECT array_agg(d.user_id), array_agg(d.contact_id), array_agg(d.occurred_at)
    INTO owners, contacts, times
    FROM (
      (
        SELECT user_id, id, interaction_id, contact_id, occurred_at FROM old_rows
        EXCEPT
        SELECT user_id, id, interaction_id, contact_id, occurred_at FROM new_rows
      )
      UNION ALL
      (
        SELECT user_id, id, interaction_id, contact_id, occurred_at FROM new_rows
        EXCEPT
        SELECT user_id, id, interaction_id, contact_id, occurred_at FROM old_rows
      )
    ) AS d
    WHERE d.contact_id IS NOT NULL
      -- Whom it is with hears of it by the interaction; asked so that no index of contacts is entered,
      -- of whom each may have thousands.
      AND NOT EXISTS (
        SELECT FROM public.interactions AS i
        WHERE i.user_id = d.user_id AND i.id = d.interaction_id
          AND i.contact_id IS NOT DISTINCT FROM d.contact_id
      );
  END IF;
  IF owners IS NOT NULL THEN
    PERFORM app.renew_last_interactions(owners, contacts, times);
    PERFORM app.emit_closeness_of(TG_ARGV[0], owners, contacts);
  END IF;
  RETURN NULL;
END
$$;

-- Trigger: for all whom a circle's cadence counts for.
CREATE OR REPLACE FUNCTION app.emit_closeness_of_circle() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.emit_closeness_of(TG_ARGV[0], array_agg(m.user_id), array_agg(m.contact_id))
  FROM public.circle_members AS m
  WHERE m.user_id = NEW.user_id AND m.circle_id = NEW.id AND m.is_primary;
  RETURN NULL;
END
$$;

-- Trigger: for all whose relationship is of a type.
CREATE OR REPLACE FUNCTION app.emit_closeness_of_type() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.emit_closeness_of(TG_ARGV[0], array_agg(t.user_id), array_agg(t.contact_id))
  FROM public.contact_relationship_types AS t
  WHERE t.type_owner_id = NEW.owner_id AND t.relationship_type_id = NEW.id;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
