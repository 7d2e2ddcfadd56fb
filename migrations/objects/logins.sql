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

SET LOCAL ROLE ping_owner;
