DROP INDEX sessions_live_family_idx;
ALTER TABLE sessions
  DROP COLUMN generation,
  DROP COLUMN device_name,
  DROP COLUMN signed_in_at,
  DROP COLUMN revoked_because;
