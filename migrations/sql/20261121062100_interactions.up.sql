-- Every contact with a person, by time: what somebody wrote down, and what rings, messages and
-- imports told. By user in 16 parts, so that (source, external_id) can be unique, and so that one
-- vacuum, one index and one user's history stay of a size that fits memory.
CREATE TABLE interactions (
  id uuid NOT NULL DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid, -- NULL: with nobody who stands in the address book
  kind text NOT NULL CHECK (
    kind IN (
      'email', 'meeting', 'call', 'sms', 'linkedin_message', 'message', 'ring_tap', 'manual'
    )
  ),
  direction text NOT NULL DEFAULT 'mutual' CHECK (direction IN ('inbound', 'outbound', 'mutual')),
  subject text CHECK (length(subject) BETWEEN 1 AND 1000),
  content text CHECK (length(content) BETWEEN 1 AND 100000),
  summary text CHECK (length(summary) BETWEEN 1 AND 4000),
  sentiment double precision CHECK (sentiment BETWEEN -1 AND 1),
  -- Such as has a year from 1 to 9999 in every zone.
  occurred_at timestamptz NOT NULL CHECK (
    occurred_at >= '0001-01-02 00:00:00+00' AND occurred_at <= '9999-12-31 00:00:00+00'
  ),
  duration_seconds int CHECK (duration_seconds >= 0),
  source text NOT NULL DEFAULT 'manual' CHECK (
    source IN (
      'calendar', 'email', 'gmail', 'import', 'linkedin', 'manual', 'messaging', 'outlook', 'phone',
      'ring'
    )
  ),
  external_id text CHECK (length(external_id) BETWEEN 1 AND 1000), -- the source's own name of it
  metadata jsonb NOT NULL DEFAULT '{}' -- the source's
  CHECK (jsonb_typeof(metadata) = 'object' AND length(metadata::text) <= 8000),
  is_private boolean NOT NULL DEFAULT false, -- for the person alone: no API key sees it
  -- As app.plain_text, which later code may change, and without the marks that turn or join writing,
  -- which are copied along unseen; as much as a tsvector holds of any writing.
  tsv tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(
      to_tsvector(
        'simple',
        left(
          regexp_replace(
            lower(normalize(coalesce(subject, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          100000
        )
      ),
      'A'
    )
    || setweight(
      to_tsvector(
        'simple',
        left(
          regexp_replace(
            lower(normalize(coalesce(summary, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          100000
        )
      ),
      'B'
    )
    || setweight(
      to_tsvector(
        'simple',
        left(
          regexp_replace(
            lower(normalize(coalesce(content, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          100000
        )
      ),
      'C'
    )
  ) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id),
  UNIQUE (user_id, source, external_id),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id)
) PARTITION BY HASH (user_id);
CREATE INDEX interactions_occurred_at_idx ON interactions (user_id, occurred_at DESC, id DESC);
CREATE INDEX interactions_contact_idx
ON interactions (user_id, contact_id, occurred_at DESC, id DESC);
CREATE INDEX interactions_kind_idx ON interactions (user_id, kind, occurred_at DESC, id DESC);
CREATE INDEX interactions_tsv_idx ON interactions USING gin (tsv);
DO $$
BEGIN
  FOR part IN 0..15 LOOP
    EXECUTE format(
      'CREATE TABLE interactions_p%s PARTITION OF interactions
       FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part
    );
  END LOOP;
END
$$;

-- Who else was part of it: somebody of the address book, an address, or both.
CREATE TABLE interaction_participants (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  interaction_id uuid NOT NULL,
  contact_id uuid,
  role text NOT NULL CHECK (role IN ('from', 'to', 'attendee', 'organizer')),
  address_kind text CHECK (address_kind IN ('email', 'phone')),
  address bytea, -- sealed, as it was written
  address_hash bytea, -- blind index of the normal form, as in contact_methods
  -- As of the interaction, which triggers see to: so a person's page is read in its order, and a
  -- policy of the row alone can tell what is private.
  occurred_at timestamptz NOT NULL,
  is_private boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT interaction_participants_address_check CHECK (
    num_nulls(address_kind, address, address_hash) IN (0, 3)
  ),
  FOREIGN KEY (user_id, interaction_id) REFERENCES interactions (user_id, id) ON DELETE CASCADE,
  -- One that was nothing but a contact is nobody without it.
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id)
);
CREATE INDEX interaction_participants_interaction_idx
ON interaction_participants (user_id, interaction_id, id);
CREATE INDEX interaction_participants_contact_idx
ON interaction_participants (user_id, contact_id, occurred_at DESC, interaction_id DESC)
WHERE contact_id IS NOT NULL;
CREATE INDEX interaction_participants_address_idx
ON interaction_participants (user_id, address_hash) WHERE address_hash IS NOT NULL;

-- Keys of backends may be let at interactions.
ALTER TABLE api_keys
  DROP CONSTRAINT api_keys_scopes_check,
  ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'contacts:read',
      'contacts:write', 'friends:read', 'friends:write', 'gateways:read', 'gateways:write',
      'interactions:read', 'interactions:write', 'messages:read', 'messages:write',
      'realtime:read', 'rings:read', 'rings:write', 'taps:read', 'touches:read', 'touches:write'
    ]::text[]
  );
