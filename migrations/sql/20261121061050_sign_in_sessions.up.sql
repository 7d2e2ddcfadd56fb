-- What people see of their sign-in sessions, and which refresh token replaced which.
ALTER TABLE sessions
  -- 1 at the sign-in, one more with each exchange: the parent is one less
  ADD COLUMN generation int NOT NULL DEFAULT 1 CHECK (generation > 0),
  ADD COLUMN device_name text CHECK (length(device_name) BETWEEN 1 AND 120),
  ADD COLUMN signed_in_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN revoked_because text CHECK (
    revoked_because IN ('exchanged', 'signed_out', 'removed', 'reused', 'expired')
  );
UPDATE sessions AS s
SET signed_in_at = (SELECT min(f.created_at) FROM sessions AS f WHERE f.family_id = s.family_id);
-- Of a family at most one refresh token lives; the list of sign-in sessions is made of these.
CREATE UNIQUE INDEX sessions_live_family_idx ON sessions (family_id) WHERE revoked_at IS NULL;
