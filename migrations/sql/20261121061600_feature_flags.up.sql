-- Groups of users for whom something is tried first: named members, and all of a tier or a role.
CREATE TABLE cohorts (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  tiers text[] NOT NULL DEFAULT '{}' CHECK (tiers <@ ARRAY['free', 'pro', 'enterprise']::text[]),
  roles text[] NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['user', 'moderator', 'admin']::text[]),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 500),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cohort_members (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  cohort text NOT NULL REFERENCES cohorts (name) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (cohort, user_id)
);
CREATE INDEX cohort_members_user_id_idx ON cohort_members (user_id, cohort);

-- What is on for whom. `cohorts` are names of cohorts; who writes them holds a lock, so they exist.
CREATE TABLE feature_flags (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  key text NOT NULL UNIQUE CHECK (key ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  enabled boolean NOT NULL,
  percentage smallint NOT NULL CHECK (percentage BETWEEN 0 AND 100), -- of all users
  cohorts text[] NOT NULL DEFAULT '{}' CHECK (cardinality(cohorts) <= 64),
  description text NOT NULL DEFAULT '' CHECK (length(description) <= 500),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- What an operator's command changes is nobody's event.
ALTER TABLE events ALTER COLUMN user_id DROP NOT NULL;
