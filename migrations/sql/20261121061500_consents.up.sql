-- What people let their data be used for, as it is now. Without a row nobody has been asked.
CREATE TABLE consents (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  purpose text NOT NULL CHECK (
    purpose IN (
      'ai_processing', 'analytics', 'calendar', 'contact_matching', 'enrichment', 'gmail',
      'linkedin', 'location', 'marketing'
    )
  ),
  granted boolean NOT NULL,
  text_version int NOT NULL CHECK (text_version > 0), -- of the words that were agreed to
  source text NOT NULL CHECK (source IN ('onboarding', 'prompt', 'settings')),
  granted_at timestamptz,
  withdrawn_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, purpose),
  CONSTRAINT consents_times_check
  CHECK (granted = (withdrawn_at IS NULL) AND (granted_at IS NOT NULL OR NOT granted))
);

-- Every decision, written by a trigger and changed by nobody.
CREATE TABLE consent_history (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose text NOT NULL CHECK (
    purpose IN (
      'ai_processing', 'analytics', 'calendar', 'contact_matching', 'enrichment', 'gmail',
      'linkedin', 'location', 'marketing'
    )
  ),
  granted boolean NOT NULL,
  text_version int NOT NULL,
  source text NOT NULL CHECK (source IN ('onboarding', 'prompt', 'settings')),
  decided_at timestamptz NOT NULL
);
CREATE INDEX consent_history_user_id_idx ON consent_history (user_id, id DESC);

-- Whose data an entry is about, and as what its author acted.
ALTER TABLE audit_log
  ADD COLUMN owner_id uuid, -- no foreign key: the entry outlives the account
  ADD COLUMN actor_role text CHECK (actor_role IN ('user', 'moderator', 'admin'));
CREATE INDEX audit_log_owner_id_idx ON audit_log (owner_id, at DESC) WHERE owner_id IS NOT NULL;
CREATE INDEX audit_log_request_id_idx ON audit_log (request_id) WHERE request_id IS NOT NULL;

ALTER TABLE sessions
  DROP CONSTRAINT sessions_revoked_because_check,
  ADD CONSTRAINT sessions_revoked_because_check CHECK (
    revoked_because IN ('exchanged', 'signed_out', 'removed', 'reused', 'expired', 'role_changed')
  );
