-- Accounts of backends: rows like those of people, which policies and tenant keys know already, but
-- with nothing to sign in by and nothing to administer.
ALTER TABLE users
  ADD COLUMN kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'service')),
  ADD CONSTRAINT users_service_check
  CHECK (kind = 'person' OR (email IS NULL AND email_hash IS NULL AND role = 'user'));
CREATE INDEX users_service_idx ON users (id DESC) WHERE kind = 'service';

-- What backends authenticate by. The key itself is stored nowhere: `prefix` names it in public.
CREATE TABLE api_keys (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  prefix text NOT NULL UNIQUE CHECK (prefix ~ '^[a-z2-7]{12}$'),
  secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32), -- SHA-256 of the whole key
  scopes text[] NOT NULL CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'friends:read', 'friends:write',
      'gateways:read', 'gateways:write', 'messages:read', 'messages:write', 'realtime:read',
      'rings:read', 'rings:write', 'taps:read', 'touches:read', 'touches:write'
    ]::text[]
  ),
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_user_id_id_idx ON api_keys (user_id, id DESC);
