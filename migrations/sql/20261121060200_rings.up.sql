CREATE TABLE rings (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid REFERENCES users ON DELETE CASCADE, -- NULL while unclaimed
  label text CHECK (length(label) BETWEEN 1 AND 80),
  kind text NOT NULL CHECK (kind IN ('nfc', 'ble', 'dual')),
  device_id bytea UNIQUE CHECK (length(device_id) = 8), -- the ring's id in records and topics
  nfc_uid_hash bytea UNIQUE, -- blind index
  claim_code_hash bytea UNIQUE, -- emptied by the claim: a code works once
  public_key bytea,
  key_id smallint, -- of the master key that its SUN keys are diversified from
  tap_key bytea, -- sealed
  id_key bytea, -- sealed
  sun_counter int NOT NULL DEFAULT -1,
  last_boot bigint,
  last_seq bigint,
  firmware_version text,
  battery_pct smallint CHECK (battery_pct BETWEEN 0 AND 100),
  status text NOT NULL DEFAULT 'unclaimed'
  CHECK (status IN ('unclaimed', 'active', 'lost', 'revoked')),
  claimed_at timestamptz,
  last_seen_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id), -- the target of tenant foreign keys
  CONSTRAINT rings_owner_check CHECK ((status = 'unclaimed') = (user_id IS NULL))
-- Counters change with each tap: room on the page keeps such updates off the indexes.
) WITH (fillfactor = 70);

CREATE TABLE gateways (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid REFERENCES users ON DELETE CASCADE, -- NULL until it is claimed
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  claim_hash bytea UNIQUE,
  cert_serial text,
  cert_expires_at timestamptz,
  revoked_at timestamptz,
  public_key bytea,
  version text,
  status text NOT NULL DEFAULT 'offline' CHECK (status IN ('online', 'offline')),
  last_seen_at timestamptz,
  config jsonb NOT NULL DEFAULT '{}',
  config_rev int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, name)
);

CREATE TABLE ring_taps (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  ring_id uuid NOT NULL,
  -- Any gateway may hear any ring, so this is no tenant key; only app.record_taps writes it.
  gateway_id uuid REFERENCES gateways ON DELETE SET NULL,
  kind text NOT NULL CHECK (kind IN ('tap_to_phone', 'ring_to_ring', 'button', 'tamper')),
  source text NOT NULL CHECK (source IN ('ble', 'sun', 'reader', 'phone')),
  boot bigint, -- SUN: 0; a ring's own boot starts at 1
  seq bigint, -- SUN: the counter of the tag
  raw bytea,
  session_hash bytea, -- SUN: who opened the link; the same may open it again for a minute
  peer_eid bytea,
  peer_ctr bigint,
  partner_ring_id uuid REFERENCES rings ON DELETE SET NULL,
  partner_user_id uuid REFERENCES users ON DELETE SET NULL,
  partner_contact bytea, -- sealed
  lat double precision CHECK (lat BETWEEN -90 AND 90),
  lon double precision CHECK (lon BETWEEN -180 AND 180),
  rssi smallint,
  tapped_at timestamptz,
  uncertainty_ms int CHECK (uncertainty_ms >= 0),
  time_source text CHECK (time_source IN ('synced', 'bounded', 'gateway', 'none')),
  received_at timestamptz NOT NULL DEFAULT now(),
  verified boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'half' CHECK (state IN ('half', 'mutual', 'exchanged')),
  UNIQUE (ring_id, boot, seq),
  FOREIGN KEY (user_id, ring_id) REFERENCES rings (user_id, id) ON DELETE CASCADE
);
CREATE INDEX ring_taps_user_id_id_idx ON ring_taps (user_id, id DESC);
CREATE INDEX ring_taps_user_id_ring_id_idx ON ring_taps (user_id, ring_id, id DESC);
CREATE INDEX ring_taps_gateway_id_idx ON ring_taps (gateway_id) WHERE gateway_id IS NOT NULL;
CREATE INDEX ring_taps_partner_ring_id_idx ON ring_taps (partner_ring_id)
WHERE partner_ring_id IS NOT NULL;
CREATE INDEX ring_taps_partner_user_id_idx ON ring_taps (partner_user_id, id DESC)
WHERE partner_user_id IS NOT NULL;

-- Evidence for operators: what was refused names no owner, since it may be forged.
CREATE TABLE rejected_taps (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  gateway_id uuid REFERENCES gateways ON DELETE SET NULL,
  device_id bytea,
  boot bigint,
  seq bigint,
  reason text NOT NULL
  CHECK (reason IN ('malformed', 'unknown_ring', 'bad_tag', 'ring_revoked', 'counter_stale')),
  raw bytea,
  received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rejected_taps_gateway_id_idx ON rejected_taps (gateway_id, device_id);
CREATE INDEX rejected_taps_received_at_idx ON rejected_taps (received_at);
