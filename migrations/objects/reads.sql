-- Reads of tags: the counter rules of SUN links, whichever way they come.

SET LOCAL ROLE ping_definer;

-- Counts a tag's read if it is fresh; no row otherwise. The one place where the counter moves: of
-- two that come at once with the same count, one waits for the other and then finds it used.
CREATE OR REPLACE FUNCTION app.count_sun_read(nfc_uid_hashes bytea[], counter int)
RETURNS SETOF public.rings
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
  UPDATE public.rings AS r
  SET sun_counter = count_sun_read.counter, last_seen_at = now()
  WHERE r.nfc_uid_hash = ANY (count_sun_read.nfc_uid_hashes)
    AND r.status = 'active'
    AND r.sun_counter < count_sun_read.counter
  RETURNING r.*
$$;

-- Records a batch of reads of gateways' NFC readers; `position` is the index in the array, from 0.
-- With a counter: a SUN link whose MAC was verified. Without: a static tag, which proves nothing; a
-- ring whose tag has keys is never taken for one. A read that is sent again is a duplicate, and so
-- is one whose count was recorded in another way.
CREATE OR REPLACE FUNCTION app.record_reads(reads jsonb)
RETURNS TABLE ("position" int, outcome text, ring_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  item record;
  ring public.rings;
  is_fresh boolean;
  is_located boolean;
BEGIN
  -- In order of ids, so that two batches with the same rings cannot wait for each other.
  PERFORM FROM public.rings AS r
  WHERE r.nfc_uid_hash IN (
    SELECT decode(h.live, 'hex')
    FROM jsonb_array_elements(reads) AS t
    CROSS JOIN LATERAL jsonb_array_elements_text(t -> 'nfc_uid_hashes') AS h (live)
  )
  ORDER BY r.id
  FOR NO KEY UPDATE;

  FOR item IN
    SELECT
      t.ordinal, t.gateway_id, decode(t.read_id, 'hex') AS read_id,
      ARRAY(SELECT decode(h.live, 'hex') FROM unnest(t.nfc_uid_hashes) AS h (live))
        AS nfc_uid_hashes,
      t.counter, decode(t.raw, 'hex') AS raw,
      t.lat, t.lon, t.tapped_at, t.uncertainty_ms, t.time_source
    FROM ROWS FROM (
      jsonb_to_recordset(reads) AS (
        gateway_id uuid, read_id text, nfc_uid_hashes text[], counter int, raw text,
        lat double precision, lon double precision, tapped_at timestamptz, uncertainty_ms int,
        time_source text
      )
    ) WITH ORDINALITY AS t (
      gateway_id, read_id, nfc_uid_hashes, counter, raw, lat, lon, tapped_at, uncertainty_ms,
      time_source, ordinal
    )
    ORDER BY t.ordinal
  LOOP
    "position" := item.ordinal - 1;
    SELECT * INTO ring FROM public.rings AS r WHERE r.nfc_uid_hash = ANY (item.nfc_uid_hashes);
    ring_id := ring.id;
    IF EXISTS (
      SELECT FROM public.ring_taps AS t
      WHERE (t.gateway_id = item.gateway_id AND t.read_id = item.read_id)
        OR (t.ring_id = ring.id AND t.boot = 0 AND t.seq = item.counter)
    ) THEN
      outcome := 'duplicate';
    ELSIF ring.id IS NULL OR ring.status = 'unclaimed' THEN
      outcome := 'unknown_ring';
    ELSIF ring.status <> 'active' THEN
      outcome := 'ring_revoked';
    ELSIF item.counter IS NULL AND ring.key_id IS NOT NULL THEN
      outcome := 'bad_tag';
    ELSE
      IF item.counter IS NULL THEN
        -- Anybody can say so: what others' gateways say counts once a minute.
        is_fresh := EXISTS (
          SELECT FROM public.gateways AS g
          WHERE g.id = item.gateway_id AND g.user_id = ring.user_id
        ) OR NOT EXISTS (
          SELECT FROM public.ring_taps AS t
          WHERE t.user_id = ring.user_id AND t.ring_id = ring.id AND NOT t.verified
            AND t.id > uuidv7(-interval '1 minute')
        );
        UPDATE public.rings AS r SET last_seen_at = now() WHERE r.id = ring.id AND is_fresh;
      ELSE
        PERFORM FROM app.count_sun_read(item.nfc_uid_hashes, item.counter);
        is_fresh := FOUND;
      END IF;
      outcome := CASE
        WHEN is_fresh THEN 'recorded' WHEN item.counter IS NULL THEN 'duplicate' ELSE 'counter_stale'
      END;
      IF is_fresh THEN
        -- Where somebody was is kept with their consent only.
        is_located := item.lat IS NOT NULL
          AND app.hold_consents(ARRAY[ring.user_id], 'location') <> '{}';
        INSERT INTO public.ring_taps (
          user_id, ring_id, gateway_id, read_id, kind, source, boot, seq, raw,
          lat, lon, tapped_at, uncertainty_ms, time_source, verified
        )
        VALUES (
          ring.user_id, ring.id, (SELECT g.id FROM public.gateways AS g WHERE g.id = item.gateway_id),
          item.read_id, 'tap_to_phone', 'reader',
          CASE WHEN item.counter IS NOT NULL THEN 0 END, item.counter, item.raw,
          CASE WHEN is_located THEN item.lat END, CASE WHEN is_located THEN item.lon END, item.tapped_at, item.uncertainty_ms, item.time_source,
          item.counter IS NOT NULL
        );
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

SET LOCAL ROLE ping_owner;
