CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  email bytea, -- sealed
  email_hash bytea UNIQUE, -- blind index
  full_name text NOT NULL CHECK (length(full_name) BETWEEN 1 AND 200),
  timezone text NOT NULL DEFAULT 'UTC',
  locale text,
  role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
  subscription_tier text NOT NULL DEFAULT 'free'
  CHECK (subscription_tier IN ('free', 'pro', 'enterprise')),
  subscription_status text NOT NULL DEFAULT 'active'
  CHECK (subscription_status IN ('active', 'cancelled', 'past_due')),
  onboarding_completed_at timestamptz,
  last_login_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  family_id uuid NOT NULL,
  token_hash bytea NOT NULL UNIQUE,
  user_agent text,
  ip inet,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_user_id_expires_at_idx ON sessions (user_id, expires_at);
-- Reuse of a refresh token revokes its whole family.
CREATE INDEX sessions_family_id_idx ON sessions (family_id);

CREATE TABLE profiles (
  user_id uuid PRIMARY KEY DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  username text CHECK (username ~ '^[A-Za-z0-9_.]{3,30}$'),
  display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
  bio text CHECK (length(bio) <= 1000),
  visibility text NOT NULL DEFAULT 'friends' CHECK (visibility IN ('private', 'friends', 'public')),
  privacy_settings jsonb NOT NULL DEFAULT '{}', -- Struct PrivacySettings
  points int NOT NULL DEFAULT 0 CHECK (points >= 0),
  level int NOT NULL DEFAULT 1 CHECK (level >= 1),
  current_streak int NOT NULL DEFAULT 0 CHECK (current_streak >= 0),
  longest_streak int NOT NULL DEFAULT 0 CHECK (longest_streak >= 0),
  last_active_at timestamptz,
  followers_count int NOT NULL DEFAULT 0 CHECK (followers_count >= 0),
  following_count int NOT NULL DEFAULT 0 CHECK (following_count >= 0),
  friends_count int NOT NULL DEFAULT 0 CHECK (friends_count >= 0),
  community_rank int,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX profiles_username_key ON profiles (lower(username));

CREATE TABLE idempotency_keys (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request_hash bytea NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed')),
  response_status smallint,
  response_headers jsonb,
  response_body bytea, -- byte for byte
  expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
