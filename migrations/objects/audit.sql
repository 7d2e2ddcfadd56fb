-- Who did what, who may read it, and what follows from another role; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Adds an entry by the actor of the transaction, for the functions that may: no login may call it.
CREATE OR REPLACE FUNCTION app.write_audit(
  action text, resource_type text, resource_id text, owner uuid, old_values jsonb, new_values jsonb
) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  address inet;
  actor_kind text := coalesce(nullif(current_setting('app.actor_kind', true), ''), session_user);
BEGIN
  -- Apart from the INSERT, where the planner would cast before it asks.
  IF pg_input_is_valid(current_setting('app.ip', true), 'inet') THEN
    address := current_setting('app.ip', true)::inet;
  END IF;
  INSERT INTO public.audit_log (
    user_id, actor_kind, actor_role, owner_id, action, resource_type, resource_id,
    old_values, new_values, ip, user_agent, endpoint, request_id
  )
  VALUES (
    app.user_id(),
    actor_kind,
    CASE
      WHEN actor_kind <> 'user' THEN NULL
      -- Whoever has a role acts by it over all users' rows or as ping_admin, and otherwise like
      -- everybody: people read in their own log what administrators did, not what friends did.
      WHEN session_user IN ('ping_api', 'ping_worker')
        AND current_setting('role') <> 'ping_admin' THEN 'user'
      ELSE app.role()
    END,
    owner,
    action,
    resource_type,
    resource_id,
    old_values,
    new_values,
    address,
    nullif(current_setting('app.user_agent', true), ''),
    nullif(current_setting('app.endpoint', true), ''),
    app.request_id()
  );
END
$$;

-- Trigger: app.audit('values' | 'names', redacted columns…). 'values' keeps what changed, 'names'
-- only which columns; redacted ones are named in both and kept in neither.
CREATE OR REPLACE FUNCTION app.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
  after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
  present jsonb := coalesce(after, before);
  keeps_values boolean := TG_ARGV[0] = 'values';
  redacted text[] := TG_ARGV[1:];
  old_values jsonb;
  new_values jsonb;
BEGIN
  -- The rotation is audited by data_keys, not by every row that it passes.
  IF current_setting('app.endpoint', true) = 'keys.reseal' AND session_user = 'ping_system' THEN
    RETURN NULL;
  END IF;
  SELECT
    jsonb_object_agg(c.name, CASE WHEN c.shown THEN before -> c.name END),
    jsonb_object_agg(c.name, CASE WHEN c.shown THEN after -> c.name END)
  INTO old_values, new_values
  FROM (
    SELECT k.name, keeps_values AND k.name <> ALL (redacted) AS shown
    FROM jsonb_object_keys(present) AS k (name)
    WHERE k.name <> 'updated_at' AND before -> k.name IS DISTINCT FROM after -> k.name
  ) AS c;
  IF TG_OP = 'UPDATE' AND new_values IS NULL THEN
    RETURN NULL; -- nothing changed
  END IF;
  PERFORM app.write_audit(
    CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'UPDATE' THEN 'update' ELSE 'delete' END,
    regexp_replace(TG_TABLE_NAME, '_p[0-9]+$', ''), -- a part of interactions is interactions
    coalesce(present ->> 'id', concat_ws(':', present ->> 'user_id', present ->> 'purpose')),
    coalesce(
      present ->> 'user_id',
      CASE TG_TABLE_NAME WHEN 'users' THEN present ->> 'id' ELSE present ->> 'sender_id' END
    )::uuid,
    CASE WHEN TG_OP <> 'INSERT' THEN old_values END,
    CASE WHEN TG_OP <> 'DELETE' THEN new_values END
  );
  RETURN NULL;
END
$$;

-- What changes nothing and is to be known all the same: that somebody has looked at another's data,
-- or taken data out. `details` says what of it, never what stood there. Users' logins tell only of
-- those whom the actor can see, so that nobody fills a stranger's log.
CREATE OR REPLACE FUNCTION app.audit_view(
  action text, resource_type text, resource_id text, owner uuid, details jsonb
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF audit_view.action NOT IN ('view', 'export') THEN
    RAISE EXCEPTION 'an entry of the kind % is written by what it tells of', audit_view.action;
  END IF;
  IF session_user IN ('ping_api', 'ping_worker') AND owner IS NOT NULL AND NOT coalesce(
    app.is_admin()
    OR app.can_see_profile(owner)
    OR EXISTS (
      SELECT FROM public.touches AS t
      WHERE t.user_id = app.user_id() AND t.partner_user_id = audit_view.owner
    ),
    false
  ) THEN
    RAISE EXCEPTION 'ping:auth.forbidden';
  END IF;
  PERFORM app.write_audit(
    audit_view.action, audit_view.resource_type, audit_view.resource_id, owner, NULL, details
  );
END
$$;

-- Whether the actor is an administrator by the claim of their token and still so by their row.
CREATE OR REPLACE FUNCTION app.is_admin() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT app.role() = 'admin'
    AND current_setting('app.actor_kind', true) = 'user'
    AND EXISTS (
      SELECT FROM public.users AS u
      WHERE u.id = app.user_id() AND u.role = 'admin' AND u.deleted_at IS NULL
    )
$$;

-- Trigger: tokens carry the role, so those of the former one end, whoever changed it and how.
CREATE OR REPLACE FUNCTION app.end_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- As hub/domains/accounts/queries.py lock_sessions does: an exchange under way ends too.
  PERFORM pg_advisory_xact_lock(hashtextextended(NEW.id::text, 11));
  UPDATE public.sessions AS s
  SET revoked_at = now(), revoked_because = 'role_changed'
  WHERE s.user_id = NEW.id AND s.revoked_at IS NULL;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
