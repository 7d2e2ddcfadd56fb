-- A passkey is a login whose proof the hub checks itself: a row here beside the one of user_logins,
-- under the same id. The private key never leaves the device.
CREATE UNIQUE INDEX user_logins_user_id_id_key ON user_logins (user_id, id);
DROP INDEX user_logins_user_id_idx;

CREATE TABLE passkey_credentials (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL DEFAULT app.user_id(),
  credential_id bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
  public_key bytea NOT NULL CHECK (length(public_key) BETWEEN 1 AND 2048), -- COSE_Key, RFC 9052
  sign_count bigint NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
  name text CHECK (length(name) BETWEEN 1 AND 120),
  transports text[] NOT NULL DEFAULT '{}' CHECK (cardinality(transports) <= 10),
  is_user_verified boolean NOT NULL, -- once so, a sign-in without it is refused
  is_backup_eligible boolean NOT NULL, -- made so for good: several devices may have it
  is_backed_up boolean NOT NULL,
  suspected_at timestamptz, -- its counter went back: somebody else may have a copy
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (user_id, id) REFERENCES user_logins (user_id, id) ON DELETE CASCADE
);
CREATE INDEX passkey_credentials_user_id_id_idx ON passkey_credentials (user_id, id);
