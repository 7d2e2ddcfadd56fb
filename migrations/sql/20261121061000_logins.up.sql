-- Who a person is at an identity provider. The issuer says whose subject it is: a provider's name in
-- the settings may come to mean another issuer, and must not bring its people into these accounts.
CREATE TABLE user_logins (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  provider text NOT NULL CHECK (provider ~ '^[a-z][a-z0-9_-]{0,31}$'), -- its name in the settings
  issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 255),
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  email_hash bytea, -- blind index; only of an address that the provider has verified
  last_used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (issuer, subject)
);
CREATE INDEX user_logins_user_id_idx ON user_logins (user_id, id);
CREATE INDEX user_logins_email_hash_idx ON user_logins (email_hash) WHERE email_hash IS NOT NULL;
