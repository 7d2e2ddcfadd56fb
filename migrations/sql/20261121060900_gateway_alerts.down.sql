DROP FUNCTION IF EXISTS app.count_sun_read(bytea, int);
DROP POLICY IF EXISTS over_own_gateway ON rejected_taps;
DROP INDEX rejected_taps_gateway_id_id_idx;
ALTER TABLE rings
  DROP COLUMN link,
  DROP COLUMN heard_by;
DROP INDEX gateways_user_id_id_idx;
DROP INDEX gateways_user_id_name_key;
-- Under the old rule a name belongs to the row in force.
UPDATE gateways SET name = left(name, 40) || ' ' || id WHERE revoked_at IS NOT NULL;
ALTER TABLE gateways
  ALTER COLUMN user_id DROP DEFAULT,
  ADD CONSTRAINT gateways_user_id_name_key UNIQUE (user_id, name),
  DROP COLUMN adapters,
  DROP COLUMN capabilities,
  DROP COLUMN watch,
  DROP COLUMN alerts;
ALTER TABLE rejected_taps DROP COLUMN read_id;
ALTER TABLE ring_taps DROP COLUMN read_id;
