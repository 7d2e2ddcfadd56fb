-- Functions of schema app beyond the context ones of the first migration. Names are qualified and
-- search_path is empty, so that nobody can slip an object of the same name in front.

SET LOCAL ROLE ping_owner;

CREATE OR REPLACE FUNCTION app.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  -- A value that is sealed anew by another key is still the same to everybody.
  IF current_setting('app.endpoint', true) = 'keys.reseal' AND session_user = 'ping_system' THEN
    RETURN NEW;
  END IF;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

-- Creates the coming monthly partitions, also out of rows that went to the default one.
-- In UTC, whatever the session's zone: some are divided by days, whose bounds would shift.
CREATE OR REPLACE FUNCTION app.create_partitions(months_ahead int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET timezone = 'UTC' AS $$
DECLARE
  parent record;
  month timestamp;
  child text;
  lower_bound timestamptz;
  upper_bound timestamptz;
  created int := 0;
BEGIN
  FOR parent IN
    SELECT *
    FROM (
      VALUES ('events', 'occurred_at'), ('audit_log', 'at'), ('health_snapshots', 'taken_on')
    ) AS p (name, key)
  LOOP
    FOR month IN
      SELECT m
      FROM generate_series(
        date_trunc('month', now() AT TIME ZONE 'UTC'),
        date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => months_ahead),
        interval '1 month'
      ) AS m
    LOOP
      child := parent.name || to_char(month, '"_"YYYY"_"MM');
      CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
      lower_bound := month AT TIME ZONE 'UTC';
      upper_bound := (month + interval '1 month') AT TIME ZONE 'UTC';
      EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', child, parent.name);
      EXECUTE format(
        'WITH moved AS (
           DELETE FROM public.%1$I WHERE %2$I >= $1 AND %2$I < $2 RETURNING *
         )
         INSERT INTO public.%3$I SELECT * FROM moved',
        parent.name || '_default', parent.key, child
      ) USING lower_bound, upper_bound;
      EXECUTE format(
        'ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        parent.name, child, lower_bound, upper_bound
      );
      -- Reached through the parent, whose policies rule; by its own name only by the owner.
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', child);
      EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', child);
      EXECUTE format(
        'CREATE POLICY machine ON public.%I TO ping_owner, ping_system, ping_definer
         USING (true) WITH CHECK (true)', child
      );
      created := created + 1;
    END LOOP;
  END LOOP;
  RETURN created;
END
$$;

SET LOCAL ROLE ping_definer;

CREATE OR REPLACE FUNCTION app.in_conversation(conversation uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT EXISTS (
    SELECT FROM public.conversation_members AS m
    WHERE m.conversation_id = conversation AND m.user_id = app.user_id()
  )
$$;

-- One's own, public ones, and those of friends and people one is in a conversation with.
CREATE OR REPLACE FUNCTION app.can_see_profile(owner uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT owner = app.user_id()
    OR EXISTS (
      SELECT FROM public.profiles AS p
      WHERE p.user_id = owner AND p.visibility = 'public' AND app.user_id() IS NOT NULL
    )
    OR EXISTS (
      SELECT FROM public.friendships AS f
      WHERE f.user_id = app.user_id() AND f.friend_id = owner
    )
    OR EXISTS (
      SELECT FROM public.conversation_members AS mine
      JOIN public.conversation_members AS theirs USING (conversation_id)
      WHERE mine.user_id = app.user_id() AND theirs.user_id = owner
    )
$$;

-- Writes one event and its pointer in the outbox.
CREATE OR REPLACE FUNCTION app.emit(
  event_type text, owner uuid, subject_type text, subject_id uuid, payload jsonb
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  event_id uuid := uuidv7();
BEGIN
  INSERT INTO public.events (id, type, user_id, actor_id, subject_type, subject_id, payload, request_id)
  VALUES (
    event_id, event_type, owner, app.user_id(), subject_type, subject_id, payload, app.request_id()
  );
  INSERT INTO public.outbox (event_id, occurred_at, shard)
  VALUES (event_id, now(), uuid_hash(subject_id) & 1023);
  RETURN event_id;
END
$$;

-- Trigger for each INSERT statement with its new rows as new_rows, same arguments as app.emit_row:
-- events of a batch in one statement, in the order of the rows' ids. It is planned anew each time,
-- so rows that come one by one are cheaper with app.emit_row.
CREATE OR REPLACE FUNCTION app.emit_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  payload text;
BEGIN
  SELECT string_agg(
    format('%L, n.%I', split_part(field, '=', 1), split_part(field, '=', -1)), ', '
  )
  INTO payload
  FROM unnest(TG_ARGV[4:]) AS field;
  EXECUTE format(
    'WITH written AS (
       INSERT INTO public.events (
         type, user_id, actor_id, subject_type, subject_id, payload, request_id
       )
       SELECT
         %L, %s, (SELECT app.user_id()), %L, n.%I, jsonb_build_object(%s), (SELECT app.request_id())
       FROM new_rows AS n
       ORDER BY n.id
       RETURNING id, occurred_at, subject_id
     )
     INSERT INTO public.outbox (event_id, occurred_at, shard)
     SELECT w.id, w.occurred_at, uuid_hash(w.subject_id) & 1023
     FROM written AS w',
    TG_ARGV[0],
    CASE WHEN TG_ARGV[3] = '' THEN '(SELECT app.user_id())' ELSE format('n.%I', TG_ARGV[3]) END,
    TG_ARGV[1],
    TG_ARGV[2],
    payload
  );
  RETURN NULL;
END
$$;

-- Trigger: app.emit_row(type, subject type, subject column, owner column, payload columns…).
-- A payload column is a name, or `name in the payload=column`. An empty owner column: the actor.
CREATE OR REPLACE FUNCTION app.emit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  fields jsonb := to_jsonb(NEW);
BEGIN
  PERFORM app.emit(
    TG_ARGV[0],
    CASE WHEN TG_ARGV[3] = '' THEN app.user_id() ELSE (fields ->> TG_ARGV[3])::uuid END,
    TG_ARGV[1],
    (fields ->> TG_ARGV[2])::uuid,
    (
      SELECT jsonb_object_agg(
        split_part(field, '=', 1), fields -> split_part(field, '=', -1)
      )
      FROM unnest(TG_ARGV[4:]) AS field
    )
  );
  RETURN NULL;
END
$$;

-- Trigger, deferred: an exchange of refresh tokens revokes one row and adds its successor, which is
-- not the end of the sign-in session. At commit it shows whether the family has a row that lives on.
CREATE OR REPLACE FUNCTION app.emit_session_revoked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM public.sessions AS s WHERE s.family_id = NEW.family_id AND s.revoked_at IS NULL
  ) THEN
    PERFORM app.emit(
      TG_ARGV[0], NEW.user_id, 'session', NEW.family_id,
      jsonb_build_object('session_id', NEW.family_id)
    );
  END IF;
  RETURN NULL;
END
$$;

-- The channel only wakes; PostgreSQL merges equal notifications of one transaction.
CREATE OR REPLACE FUNCTION app.notify_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM pg_notify('outbox', '');
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.create_profile() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.profiles (user_id, display_name)
  VALUES (NEW.id, NEW.full_name);
  RETURN NULL;
END
$$;

-- One of the actor's conversations, locked: a message that is inserted from here gets its id when
-- all earlier ones are committed, so ids, events and commits of a conversation have one order.
CREATE OR REPLACE FUNCTION app.lock_conversation(conversation uuid) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
  SELECT c.id
  FROM public.conversations AS c
  WHERE c.id = conversation AND EXISTS (
    SELECT FROM public.conversation_members AS m
    WHERE m.conversation_id = c.id AND m.user_id = app.user_id()
  )
  FOR NO KEY UPDATE OF c
$$;

-- Takes the lock too, for messages that were inserted in another way.
CREATE OR REPLACE FUNCTION app.note_message() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.conversations
  SET last_message_at = greatest(last_message_at, NEW.created_at)
  WHERE id = NEW.conversation_id;
  RETURN NULL;
END
$$;

-- Before an actor is known: keyed by the hash of a secret, returns no personal data.
CREATE OR REPLACE FUNCTION app.find_session(token_hash bytea)
RETURNS TABLE (
  id uuid, user_id uuid, family_id uuid, expires_at timestamptz, revoked_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT s.id, s.user_id, s.family_id, s.expires_at, s.revoked_at
  FROM public.sessions AS s
  WHERE s.token_hash = find_session.token_hash
$$;

-- Finds or opens the actor's direct conversation with a partner.
CREATE OR REPLACE FUNCTION app.open_direct_conversation(partner uuid)
RETURNS TABLE (id uuid, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  me uuid := app.user_id();
  pair text := least(me, partner) || ':' || greatest(me, partner);
  opened uuid;
BEGIN
  IF me IS NULL OR partner IS NULL OR partner = me OR NOT EXISTS (
    SELECT FROM public.users AS u
    WHERE u.id = partner AND u.deleted_at IS NULL
  ) THEN
    RAISE EXCEPTION 'ping:conversation.partner_invalid';
  END IF;
  INSERT INTO public.conversations (kind, direct_key)
  VALUES ('direct', pair)
  ON CONFLICT (direct_key) DO NOTHING
  RETURNING conversations.id INTO opened;
  IF opened IS NOT NULL THEN
    INSERT INTO public.conversation_members (conversation_id, user_id)
    VALUES (opened, me), (opened, partner);
    RETURN QUERY SELECT opened, true;
    RETURN;
  END IF;
  RETURN QUERY SELECT c.id, false FROM public.conversations AS c WHERE c.direct_key = pair;
END
$$;

-- Records a batch of verified taps; `position` is the index in the array, from 0.
-- Each carries its ring, the ring says whose it is. A resent tap is a duplicate, whatever became
-- of its ring since; the same counters with other bytes are stale. What a ring's earlier owner
-- tapped is nobody's. `key_changed`: the keys are to be read anew, and the tap judged again.
CREATE OR REPLACE FUNCTION app.record_taps(taps jsonb)
RETURNS TABLE ("position" int, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  inserted uuid[];
  located uuid[];
BEGIN
  -- In order of ids, so that two batches with the same rings cannot wait for each other.
  PERFORM FROM public.rings AS r
  WHERE r.device_id IN (SELECT decode(t ->> 'device_id', 'hex') FROM jsonb_array_elements(taps) AS t)
  ORDER BY r.id
  FOR NO KEY UPDATE;

  -- Where somebody was is kept with their consent only.
  IF taps @? '$[*].lat ? (@ != null)' THEN
    located := app.hold_consents(
      ARRAY(
        SELECT r.user_id
        FROM jsonb_array_elements(taps) AS t
        JOIN public.rings AS r ON r.device_id = decode(t ->> 'device_id', 'hex')
        WHERE t ->> 'lat' IS NOT NULL
      ),
      'location'
    );
  END IF;

  WITH new_taps AS (
    INSERT INTO public.ring_taps (
      user_id, ring_id, gateway_id, kind, source, boot, seq, raw, peer_eid, peer_ctr,
      lat, lon, rssi, tapped_at, uncertainty_ms, time_source, verified
    )
    SELECT
      r.user_id, r.id, g.id, t.kind, t.source, t.boot, t.seq, decode(t.raw, 'hex'),
      decode(t.peer_eid, 'hex'), t.peer_ctr,
      CASE WHEN r.user_id = ANY (located) THEN t.lat END,
      CASE WHEN r.user_id = ANY (located) THEN t.lon END, t.rssi, t.tapped_at, t.uncertainty_ms, t.time_source, true
    FROM ROWS FROM (
      jsonb_to_recordset(taps) AS (
        device_id text, gateway_id uuid, kind text, source text, boot bigint, seq bigint, raw text,
        peer_eid text, peer_ctr bigint, lat double precision, lon double precision, rssi smallint,
        tapped_at timestamptz, uncertainty_ms int, time_source text, key_version int
      )
    ) WITH ORDINALITY AS t (
      device_id, gateway_id, kind, source, boot, seq, raw, peer_eid, peer_ctr, lat, lon, rssi,
      tapped_at, uncertainty_ms, time_source, key_version, ordinal
    )
    JOIN public.rings AS r ON r.device_id = decode(t.device_id, 'hex') AND r.status = 'active'
      -- Verified with keys that are still the ring's, and not from before its owner's claim.
      AND coalesce(t.key_version, r.key_version) = r.key_version
      AND (t.boot, t.seq) > (coalesce(r.claimed_boot, -1), coalesce(r.claimed_seq, -1))
    -- A gateway that was deleted since must not fail the batch.
    LEFT JOIN public.gateways AS g ON g.id = t.gateway_id
    ORDER BY t.ordinal -- the first of equal ones wins, and events are in the order of arrival
    ON CONFLICT (ring_id, boot, seq) DO NOTHING
    RETURNING id, ring_id, boot, seq
  ),
  newest AS (
    SELECT DISTINCT ON (n.ring_id) n.ring_id, n.boot, n.seq
    FROM new_taps AS n
    ORDER BY n.ring_id, n.boot DESC, n.seq DESC
  ),
  counted AS (
    UPDATE public.rings AS r
    SET
      last_boot = CASE WHEN w.is_newer THEN n.boot ELSE r.last_boot END,
      last_seq = CASE WHEN w.is_newer THEN n.seq ELSE r.last_seq END,
      last_seen_at = now()
    FROM newest AS n
    CROSS JOIN LATERAL (
      SELECT (n.boot, n.seq) > (coalesce(o.last_boot, -1), coalesce(o.last_seq, -1)) AS is_newer
      FROM public.rings AS o
      WHERE o.id = n.ring_id
    ) AS w
    WHERE r.id = n.ring_id
  )
  SELECT coalesce(array_agg(n.id), '{}') INTO inserted FROM new_taps AS n;

  -- A statement of its own sees also what others committed since the batch began.
  RETURN QUERY
  SELECT
    (t.ordinal - 1)::int,
    CASE
      WHEN r.id IS NULL OR (r.status = 'unclaimed') THEN 'unknown_ring'
      WHEN e.id = ANY (inserted) AND row_number() OVER (
        PARTITION BY r.id, t.value -> 'boot', t.value -> 'seq' ORDER BY t.ordinal
      ) = 1 THEN 'recorded'
      WHEN e.raw = decode(t.value ->> 'raw', 'hex') THEN 'duplicate'
      WHEN r.status <> 'active' THEN 'ring_revoked'
      WHEN ((t.value ->> 'boot')::bigint, (t.value ->> 'seq')::bigint)
        <= (r.claimed_boot, r.claimed_seq) THEN 'unknown_ring'
      WHEN (t.value ->> 'key_version')::int <> r.key_version THEN 'key_changed'
      ELSE 'counter_stale'
    END
  FROM jsonb_array_elements(taps) WITH ORDINALITY AS t (value, ordinal)
  LEFT JOIN public.rings AS r ON r.device_id = decode(t.value ->> 'device_id', 'hex')
  LEFT JOIN public.ring_taps AS e
    ON e.ring_id = r.id
    AND e.boot = (t.value ->> 'boot')::bigint
    AND e.seq = (t.value ->> 'seq')::bigint
  ORDER BY t.ordinal;
END
$$;

-- Records the opening of a verified SUN link: the counter decides in one UPDATE. The session that
-- used a counter may open the link again for a minute: phones and previews do.
CREATE OR REPLACE FUNCTION app.record_sun_tap(
  nfc_uid_hashes bytea[], counter int, session_hash bytea, raw bytea
)
RETURNS TABLE (outcome text, tap_id uuid, ring_id uuid, owner uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  ring public.rings;
  tap public.ring_taps;
BEGIN
  SELECT * INTO ring FROM app.count_sun_read(record_sun_tap.nfc_uid_hashes, counter);
  IF FOUND THEN
    INSERT INTO public.ring_taps AS t (
      user_id, ring_id, kind, source, boot, seq, raw, session_hash,
      tapped_at, uncertainty_ms, time_source, verified
    )
    VALUES (
      ring.user_id, ring.id, 'tap_to_phone', 'sun', 0, counter, raw, session_hash,
      now(), 0, 'synced', true
    )
    RETURNING t.* INTO tap;
    RETURN QUERY SELECT 'recorded', tap.id, ring.id, ring.user_id;
    RETURN;
  END IF;

  SELECT * INTO ring
  FROM public.rings AS r
  WHERE r.nfc_uid_hash = ANY (record_sun_tap.nfc_uid_hashes);
  IF NOT FOUND OR ring.status = 'unclaimed' THEN
    RETURN QUERY SELECT 'unknown_ring', NULL::uuid, NULL::uuid, NULL::uuid;
    RETURN;
  END IF;
  IF ring.status <> 'active' THEN
    RETURN QUERY SELECT 'ring_revoked', NULL::uuid, ring.id, ring.user_id;
    RETURN;
  END IF;
  SELECT * INTO tap
  FROM public.ring_taps AS t
  WHERE t.ring_id = ring.id
    AND t.boot = 0
    AND t.seq = counter
    AND t.session_hash = record_sun_tap.session_hash
    AND t.received_at > now() - interval '60 seconds';
  IF FOUND THEN
    RETURN QUERY SELECT 'replayed', tap.id, ring.id, ring.user_id;
  ELSE
    RETURN QUERY SELECT 'already_used', NULL::uuid, ring.id, ring.user_id;
  END IF;
END
$$;

SET LOCAL ROLE ping_owner;
