-- API keys, before an actor is known.

SET LOCAL ROLE ping_definer;

-- Keyed by the hash of a secret. `is_use_unnoted`: its last use stands there as older than a minute.
CREATE OR REPLACE FUNCTION app.find_api_key(secret_hash bytea)
RETURNS TABLE (
  id uuid, user_id uuid, prefix text, scopes text[], expires_at timestamptz, is_use_unnoted boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT
    k.id, k.user_id, k.prefix, k.scopes, k.expires_at,
    coalesce(k.last_used_at < now() - interval '1 minute', true)
      AND coalesce(k.expires_at > now(), true)
  FROM public.api_keys AS k
  JOIN public.users AS u ON u.id = k.user_id
  WHERE k.secret_hash = find_api_key.secret_hash AND k.revoked_at IS NULL AND u.deleted_at IS NULL
$$;
