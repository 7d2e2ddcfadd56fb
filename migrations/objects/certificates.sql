-- Functions of certificates; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Gives one of the actor's gateways a new claim code, which ends the former one; returns its end.
CREATE OR REPLACE FUNCTION app.new_gateway_code(
  gateway uuid, claim_hash bytea, lifetime_seconds int
) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  is_revoked boolean;
  code_ends_at timestamptz;
BEGIN
  UPDATE public.gateways AS g
  SET
    claim_hash = new_gateway_code.claim_hash,
    claim_expires_at = now() + make_interval(secs => lifetime_seconds),
    claim_key_hash = NULL
  WHERE g.id = gateway AND g.user_id = app.user_id() AND g.revoked_at IS NULL
  RETURNING g.claim_expires_at INTO code_ends_at;
  IF FOUND THEN
    RETURN code_ends_at;
  END IF;
  SELECT true INTO is_revoked
  FROM public.gateways AS g
  WHERE g.id = gateway AND g.user_id = app.user_id();
  IF is_revoked THEN
    RAISE EXCEPTION 'ping:gateway.revoked';
  END IF;
  RAISE EXCEPTION 'ping:gateway.not_found';
END
$$;

-- Casts one of the actor's gateways out, with all its certificates; again is harmless.
CREATE OR REPLACE FUNCTION app.revoke_gateway(gateway uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- The row's lock comes first, as when a certificate is issued: none is issued meanwhile.
  UPDATE public.gateways AS g
  SET
    revoked_at = coalesce(g.revoked_at, now()),
    claim_hash = NULL,
    claim_expires_at = NULL,
    claim_key_hash = NULL
  WHERE g.id = gateway AND g.user_id = app.user_id();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'ping:gateway.not_found';
  END IF;
  UPDATE public.gateway_certificates AS c
  SET revoked_at = now(), revoked_reason = 'revoked'
  WHERE c.gateway_id = gateway AND c.user_id = app.user_id() AND c.revoked_at IS NULL;
END
$$;

SET LOCAL ROLE ping_owner;
