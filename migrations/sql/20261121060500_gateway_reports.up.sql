-- What gateways report of themselves; written by ingest only.
ALTER TABLE gateways
  -- Runs of the gateway's process that were heard of, newest first: a last will of any but the
  -- first comes too late to mean anything.
  ADD COLUMN sessions text[] NOT NULL DEFAULT '{}' CHECK (cardinality(sessions) <= 8),
  ADD COLUMN reported jsonb NOT NULL DEFAULT '{}', -- revision in effect, revision refused and why
  ADD COLUMN health jsonb,
  ADD COLUMN health_at timestamptz; -- by the hub's clock
