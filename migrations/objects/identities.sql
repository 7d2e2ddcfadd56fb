-- Who is behind an address; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Which of the asked addresses belong to people who let themselves be found, as the actor does. Of
-- all others the answer is the same: nothing. Each look-up is on record, with whom it found.
-- The n-th hash is a form of the address at the n-th position.
CREATE OR REPLACE FUNCTION app.match_identities(
  positions int[], kinds text[], hashes bytea[], asked int
)
RETURNS TABLE ("position" int, user_id uuid, display_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  me uuid := app.user_id();
  found record;
  matched int := 0;
BEGIN
  IF me IS NULL OR NOT app.allows(me, 'contact_matching') THEN
    RETURN;
  END IF;
  FOR found IN
    SELECT a.position, i.id, i.user_id, p.display_name
    FROM unnest(positions, kinds, hashes) AS a (position, kind, hash)
    JOIN public.identity_hashes AS i ON i.kind = a.kind AND i.hash = a.hash
    JOIN public.users AS u ON u.id = i.user_id AND u.deleted_at IS NULL
    JOIN public.profiles AS p ON p.user_id = i.user_id
    WHERE i.user_id <> me
      AND app.allows(i.user_id, 'contact_matching')
      AND NOT app.is_blocked(me, i.user_id)
    ORDER BY a.position
    -- Until the commit nobody gives it up: who does so then is unlinked after it.
    FOR KEY SHARE OF i
  LOOP
    matched := matched + 1;
    PERFORM app.write_audit(
      'view', 'identity_hashes', found.id::text, found.user_id, NULL, '{"by": "match"}'
    );
    "position" := found.position;
    user_id := found.user_id;
    display_name := found.display_name;
    RETURN NEXT;
  END LOOP;
  PERFORM app.audit_view(
    'view', 'identity_hashes', 'match', me, jsonb_build_object('asked', asked, 'matched', matched)
  );
END
$$;

-- Trigger: who did not give an address up themselves is told; somebody who is erased is not.
CREATE OR REPLACE FUNCTION app.emit_identity_lost() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF OLD.user_id IS DISTINCT FROM app.user_id()
    AND EXISTS (SELECT FROM public.users AS u WHERE u.id = OLD.user_id)
  THEN
    PERFORM app.emit(
      TG_ARGV[0], OLD.user_id, 'identity', OLD.id,
      jsonb_build_object('identity_id', OLD.id, 'kind', OLD.kind)
    );
  END IF;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
