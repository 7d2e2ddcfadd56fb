-- Addresses that somebody has verified, so that others who have them may find each other. Blind: what
-- the address is, neither the row nor its owner's view of it says.
CREATE TABLE identity_hashes (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  login_id uuid, -- whose provider has verified it: gone with that login
  kind text NOT NULL CHECK (kind IN ('email', 'phone')),
  hash bytea NOT NULL, -- blind index
  verified_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (kind, hash),
  FOREIGN KEY (user_id, login_id) REFERENCES user_logins (user_id, id) ON DELETE CASCADE
);
CREATE INDEX identity_hashes_user_id_id_idx ON identity_hashes (user_id, id);
CREATE INDEX identity_hashes_login_id_idx ON identity_hashes (user_id, login_id);
