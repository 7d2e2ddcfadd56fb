DROP FUNCTION IF EXISTS app.find_api_key(bytea);
DROP POLICY IF EXISTS own_new ON sessions;
DROP TABLE api_keys;
-- They would become people whom nobody is.
DELETE FROM users WHERE kind = 'service';
ALTER TABLE users DROP COLUMN kind;
