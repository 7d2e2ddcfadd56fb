CREATE SCHEMA app;

GRANT USAGE ON SCHEMA public TO ping_api, ping_worker, ping_system, ping_admin, ping_reader, ping_definer;
GRANT USAGE ON SCHEMA app TO ping_api, ping_worker, ping_system, ping_admin, ping_definer;
-- The owner hands its functions to ping_definer, who must be able to hold them.
GRANT CREATE ON SCHEMA app TO ping_definer;

-- Unset and empty both mean nobody: no context, no rows.
CREATE FUNCTION app.user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.user_id', true), '')::uuid;

CREATE FUNCTION app.role() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(nullif(current_setting('app.role', true), ''), 'user');

CREATE FUNCTION app.request_id() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.request_id', true), '');

GRANT EXECUTE ON FUNCTION app.user_id(), app.role(), app.request_id()
TO ping_api, ping_worker, ping_system, ping_admin, ping_reader, ping_definer;
