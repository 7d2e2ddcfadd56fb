-- How close a user keeps their contacts, and how these relationships fare.
CREATE TABLE circles (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 50),
  tier int NOT NULL CHECK (tier BETWEEN 1 AND 6), -- 1: the closest
  color text CHECK (color ~ '^#[0-9a-f]{6}$'),
  position int NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000),
  cadence_days int NOT NULL CHECK (cadence_days BETWEEN 1 AND 1000), -- contact is wanted that often
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id) -- what foreign keys of the tenant name
);
CREATE UNIQUE INDEX circles_name_key ON circles (user_id, lower(name));

-- A contact is in several circles, and in one of them first of all: triggers see to it.
CREATE TABLE circle_members (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  circle_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  is_primary boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, circle_id, contact_id),
  FOREIGN KEY (user_id, circle_id) REFERENCES circles (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX circle_members_primary_key ON circle_members (user_id, contact_id) WHERE is_primary;
CREATE INDEX circle_members_contact_idx ON circle_members (user_id, contact_id, circle_id);

-- What counts in a kind of relationship, and how fast it fades. Without a user: everybody's.
CREATE TABLE relationship_types (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  -- For the key of contact_relationship_types: a null owner would leave it unchecked.
  owner_id uuid NOT NULL
  GENERATED ALWAYS AS (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) STORED,
  name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,31}$'),
  display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 50),
  scoring_weights jsonb NOT NULL, -- Struct ScoringWeights
  decay_rate double precision NOT NULL DEFAULT 1 CHECK (decay_rate BETWEEN 0.1 AND 10),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (user_id, name),
  UNIQUE (owner_id, id),
  -- Strict: whatever is missing or no number makes it unknown, and that is refused too.
  CONSTRAINT relationship_types_weights_check CHECK (
    coalesce(
      scoring_weights @@ 'strict $.recency >= 0 && $.frequency >= 0 && $.reciprocity >= 0
        && $.duration >= 0
        && $.recency + $.frequency + $.reciprocity + $.duration > 0.999999
        && $.recency + $.frequency + $.reciprocity + $.duration < 1.000001',
      false
    )
    AND scoring_weights - ARRAY['recency', 'frequency', 'reciprocity', 'duration'] = '{}'
  )
);
INSERT INTO relationship_types (user_id, name, display_name, scoring_weights, decay_rate)
VALUES
(
  NULL, 'professional', 'Professional',
  '{"recency": 0.4, "frequency": 0.25, "reciprocity": 0.25, "duration": 0.1}', 1
),
(
  NULL, 'personal', 'Personal',
  '{"recency": 0.4, "frequency": 0.3, "reciprocity": 0.15, "duration": 0.15}', 1
),
(
  NULL, 'romantic', 'Romantic',
  '{"recency": 0.35, "frequency": 0.35, "reciprocity": 0.15, "duration": 0.15}', 1.5
),
(
  NULL, 'family', 'Family',
  '{"recency": 0.35, "frequency": 0.25, "reciprocity": 0.1, "duration": 0.3}', 0.7
),
(
  NULL, 'strategic', 'Strategic',
  '{"recency": 0.45, "frequency": 0.2, "reciprocity": 0.25, "duration": 0.1}', 0.8
);

CREATE TABLE contact_relationship_types (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  type_owner_id uuid NOT NULL,
  relationship_type_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, contact_id, relationship_type_id),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (type_owner_id, relationship_type_id)
  REFERENCES relationship_types (owner_id, id) ON DELETE CASCADE,
  -- One's own types, or everybody's.
  CHECK (type_owner_id IN (user_id, '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX contact_relationship_types_type_idx
ON contact_relationship_types (type_owner_id, relationship_type_id, user_id, contact_id);

-- The state of a relationship, as docs/people.md computes it. Whoever was never met and stands in no
-- circle has none.
CREATE TABLE relationship_health (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  score double precision NOT NULL CHECK (score BETWEEN 0 AND 100),
  strength double precision NOT NULL CHECK (strength BETWEEN 0 AND 1),
  band text NOT NULL CHECK (band IN ('thriving', 'stable', 'cooling', 'cold')),
  trend text NOT NULL CHECK (trend IN ('rising', 'steady', 'falling')),
  components jsonb NOT NULL, -- Struct Components
  last_touch_at timestamptz,
  next_touch_at timestamptz NOT NULL, -- in the past: overdue
  band_since timestamptz NOT NULL,
  fell_at timestamptz, -- when it fell into its band, if it did
  baseline double precision NOT NULL, -- what the score was lately; its trend is measured by that
  told_score double precision NOT NULL, -- of the last health.changed
  told_day_score smallint, -- of the last snapshot
  computed_at timestamptz NOT NULL,
  -- Of the random part of the id: the shards of the daily pass are of one size.
  shard smallint NOT NULL GENERATED ALWAYS AS (get_byte(uuid_send(user_id), 15) & 15) STORED,
  PRIMARY KEY (user_id, contact_id),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX relationship_health_score_idx ON relationship_health (user_id, score, contact_id);
CREATE INDEX relationship_health_next_touch_at_idx
ON relationship_health (user_id, next_touch_at, contact_id);
CREATE INDEX relationship_health_fell_at_idx
ON relationship_health (user_id, fell_at) WHERE fell_at IS NOT NULL;
CREATE INDEX relationship_health_shard_idx ON relationship_health (shard, user_id, contact_id);

-- Where the daily pass is.
CREATE TABLE health_shards (
  shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 15),
  calculated_on date NOT NULL DEFAULT '-infinity', -- the last day that is done
  after_user_id uuid, -- of the day under way
  after_contact_id uuid
);
INSERT INTO health_shards (shard) SELECT n FROM generate_series(0, 15) AS n;

-- A day without a row has the score of the day before.
CREATE TABLE health_snapshots (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  taken_on date NOT NULL,
  score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
  PRIMARY KEY (user_id, contact_id, taken_on),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
) PARTITION BY RANGE (taken_on);
CREATE TABLE health_snapshots_default PARTITION OF health_snapshots DEFAULT;

-- Whom the hub has reminded of, in the morning of the user's day, once for each occasion.
CREATE TABLE nudges (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('going_cold', 'birthday', 'follow_up', 'job_change')),
  occasion text NOT NULL CHECK (length(occasion) BETWEEN 1 AND 64), -- a day, a year, an event
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'dismissed', 'done')),
  closed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, contact_id, kind, occasion),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE,
  CONSTRAINT nudges_closed_check CHECK ((status = 'open') = (closed_at IS NULL))
);
CREATE INDEX nudges_id_idx ON nudges (user_id, id DESC);
CREATE INDEX nudges_created_at_idx ON nudges (created_at); -- what is a year old goes

-- The last day whose morning was looked at; of the user's own calendar.
CREATE TABLE nudge_mornings (
  user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  looked_on date NOT NULL
);

-- Whose birthday it is; a date gives its month and day to an index without a time zone.
CREATE INDEX contacts_birthday_idx
ON contacts (user_id, extract(MONTH FROM birthday), extract(DAY FROM birthday))
WHERE birthday IS NOT NULL;

-- Keys of backends may be let at circles and health.
ALTER TABLE api_keys
  DROP CONSTRAINT api_keys_scopes_check,
  ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'circles:read', 'circles:write',
      'contacts:read', 'contacts:write', 'friends:read', 'friends:write', 'gateways:read',
      'gateways:write', 'health:read', 'health:write', 'interactions:read', 'interactions:write',
      'messages:read', 'messages:write', 'realtime:read', 'rings:read', 'rings:write', 'taps:read',
      'touches:read', 'touches:write'
    ]::text[]
  );
