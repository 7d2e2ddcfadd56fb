CREATE TABLE events (
  id uuid NOT NULL DEFAULT uuidv7(),
  type text NOT NULL CHECK (type ~ '^[a-z_]+\.[a-z_]+$'),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  actor_id uuid, -- no foreign key: it stays a bare id when the actor is erased
  subject_type text NOT NULL,
  subject_id uuid NOT NULL,
  payload jsonb NOT NULL, -- Structs in hub/domains/<slice>/events.py
  verb text,
  visibility text NOT NULL DEFAULT 'private'
  CHECK (visibility IN ('private', 'friends', 'community', 'public')),
  flagged boolean NOT NULL DEFAULT false,
  deleted_at timestamptz,
  request_id text,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_user_id_idx ON events (user_id, occurred_at DESC, id DESC);
CREATE INDEX events_type_idx ON events (type, occurred_at DESC);
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE outbox (
  seq bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  event_id uuid NOT NULL,
  occurred_at timestamptz NOT NULL, -- with event_id the key of events
  -- 0 to 1023 by the subject, so that a relay takes `shard % shards` for any smaller count.
  shard smallint NOT NULL CHECK (shard BETWEEN 0 AND 1023),
  attempts int NOT NULL DEFAULT 0,
  last_error text
-- A queue lives of its emptiness: it is vacuumed by the number of its dead rows.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE consumer_tasks (
  event_id uuid NOT NULL,
  occurred_at timestamptz NOT NULL, -- with event_id the key of events
  consumer text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done', 'dead')),
  attempts int NOT NULL DEFAULT 0,
  available_at timestamptz NOT NULL DEFAULT now(),
  locked_by text,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_id, consumer)
);
CREATE INDEX consumer_tasks_pending_idx ON consumer_tasks (available_at) WHERE status = 'pending';
CREATE INDEX consumer_tasks_running_idx ON consumer_tasks (updated_at) WHERE status = 'running';
CREATE INDEX consumer_tasks_ended_idx ON consumer_tasks (updated_at)
WHERE status IN ('done', 'dead');

CREATE TABLE audit_log (
  id uuid NOT NULL DEFAULT uuidv7(),
  user_id uuid, -- the actor; no foreign key: the entry outlives the account
  actor_kind text NOT NULL,
  action text NOT NULL
  CHECK (action IN ('create', 'update', 'delete', 'view', 'export', 'override')),
  resource_type text NOT NULL,
  resource_id text NOT NULL,
  old_values jsonb,
  new_values jsonb,
  ip inet,
  user_agent text,
  endpoint text,
  request_id text,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE INDEX audit_log_user_id_idx ON audit_log (user_id, at DESC);
CREATE INDEX audit_log_resource_idx ON audit_log (resource_type, resource_id, at DESC);
CREATE INDEX audit_log_action_idx ON audit_log (action, at DESC);
CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;
