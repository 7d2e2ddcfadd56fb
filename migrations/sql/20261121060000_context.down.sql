-- Takes the functions of objects/functions.sql with it.
DROP SCHEMA app CASCADE;

REVOKE USAGE ON SCHEMA public
FROM ping_api, ping_worker, ping_system, ping_admin, ping_reader, ping_definer;
