-- Reads of NFC readers at gateways: the id that the gateway drew names a read however often it
-- comes. A static tag's read has no boot and seq, so nothing else would tell a repetition.
ALTER TABLE ring_taps ADD COLUMN read_id bytea CHECK (length(read_id) = 16);
CREATE UNIQUE INDEX ring_taps_gateway_id_read_id_idx ON ring_taps (gateway_id, read_id)
WHERE read_id IS NOT NULL;
ALTER TABLE rejected_taps ADD COLUMN read_id bytea CHECK (length(read_id) = 16);

-- What an owner sets and sees of a gateway; alerts and watch are written by ingest and a periodic
-- task, from what the gateway reports.
ALTER TABLE gateways
  ALTER COLUMN user_id SET DEFAULT app.user_id(),
  ADD COLUMN adapters text[] NOT NULL DEFAULT '{}',
  ADD COLUMN capabilities text[] NOT NULL DEFAULT '{}',
  ADD COLUMN watch jsonb NOT NULL DEFAULT '{}', -- Struct Watch: what health reports add up to
  ADD COLUMN alerts text[] NOT NULL DEFAULT '{}' CHECK (alerts <@ ARRAY[
    'offline', 'spool_growing', 'spool_old', 'spool_failing', 'taps_dropped', 'taps_quarantined',
    'taps_held', 'taps_rejected', 'clock_wrong', 'certificate_expiring', 'certificate_problem',
    'adapter_down', 'reader_down'
  ]::text[]),
  -- A revoked gateway keeps its row; its name is free again.
  DROP CONSTRAINT gateways_user_id_name_key;
CREATE UNIQUE INDEX gateways_user_id_name_key ON gateways (user_id, name)
WHERE revoked_at IS NULL;
CREATE INDEX gateways_user_id_id_idx ON gateways (user_id, id DESC);

-- What gateways see of a ring between its taps; the one that is connected speaks for all.
ALTER TABLE rings
  ADD COLUMN link text CHECK (link IN ('connected', 'seen', 'lost')),
  ADD COLUMN heard_by uuid,
  ADD FOREIGN KEY (user_id, heard_by) REFERENCES gateways (user_id, id)
  ON DELETE SET NULL (heard_by);
CREATE INDEX rings_heard_by_idx ON rings (user_id, heard_by) WHERE heard_by IS NOT NULL;

CREATE INDEX rejected_taps_gateway_id_id_idx ON rejected_taps (gateway_id, id DESC);
