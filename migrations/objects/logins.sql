-- Functions of logins; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Before an actor is known: keyed by what a verified token says, returns ids and the role.
CREATE OR REPLACE FUNCTION app.find_login(issuer text, subject text)
RETURNS TABLE (user_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT l.user_id, u.role
  FROM public.user_logins AS l
  JOIN public.users AS u ON u.id = l.user_id
  WHERE l.issuer = find_login.issuer AND l.subject = find_login.subject AND u.deleted_at IS NULL
$$;

-- Marks a refresh token of the actor's that was used a second time; what is revoked stays so.
CREATE OR REPLACE FUNCTION app.note_reuse(session_id uuid) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
  UPDATE public.sessions AS s
  SET revoked_because = 'reused'
  WHERE s.id = note_reuse.session_id AND s.user_id = app.user_id()
    AND s.revoked_because = 'exchanged'
  RETURNING s.id
$$;

-- Trigger: tells the owner what leads into the account and has been added since the marked token was
-- handed out. Until then its holder was the owner; whoever used it afterwards may have been anybody.
CREATE OR REPLACE FUNCTION app.emit_session_reused() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  report jsonb;
BEGIN
  SELECT jsonb_build_object(
    'session_id', NEW.family_id,
    'since', NEW.created_at,
    'added', coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.created_at, a.id), '[]')
  )
  INTO report
  FROM (
    SELECT CASE l.provider WHEN 'passkey' THEN 'passkey' ELSE 'login' END AS kind, l.id, l.created_at
    FROM public.user_logins AS l
    WHERE l.user_id = NEW.user_id AND l.created_at >= NEW.created_at
    UNION ALL
    SELECT 'api_key', k.id, k.created_at
    FROM public.api_keys AS k
    WHERE k.user_id = NEW.user_id AND k.created_at >= NEW.created_at AND k.revoked_at IS NULL
    UNION ALL
    SELECT 'session', s.family_id, s.signed_in_at
    FROM public.sessions AS s
    WHERE s.user_id = NEW.user_id AND s.signed_in_at >= NEW.created_at
      AND s.family_id <> NEW.family_id AND s.revoked_at IS NULL
    LIMIT 200 -- sign-ins may be many
  ) AS a;
  PERFORM app.emit(TG_ARGV[0], NEW.user_id, 'session', NEW.family_id, report);
  PERFORM app.write_audit(
    'update', 'sessions', NEW.family_id::text, NEW.user_id, NULL, report - 'session_id'
  );
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
