-- The keys of a ring change with its claim. tap_key is what it is known to use, next_tap_key what it
-- uses from its confirmation on; the first tap under it makes it tap_key, and from then on
-- former_tap_key is good only for taps with lower numbers, which were made before.
ALTER TABLE rings
ADD COLUMN next_tap_key bytea, -- sealed for tap_key's column
ADD COLUMN next_id_key bytea, -- sealed for id_key's column
ADD COLUMN former_tap_key bytea, -- sealed for tap_key's column
ADD COLUMN key_version int NOT NULL DEFAULT 1, -- one more with each change of keys or owner
ADD COLUMN claimed_boot bigint, -- with claimed_seq: the last tap before the claim
ADD COLUMN claimed_seq bigint,
ADD COLUMN rotated_boot bigint, -- with rotated_seq: the earliest known tap under tap_key
ADD COLUMN rotated_seq bigint,
ADD COLUMN verified boolean NOT NULL DEFAULT false, -- its owner has proved to hold it
DROP CONSTRAINT rings_status_check,
ADD CONSTRAINT rings_status_check
CHECK (status IN ('unclaimed', 'active', 'lost', 'revoked', 'released')),
-- What is left of a released ring is its owner's history: the device went to a row of its own.
ADD CONSTRAINT rings_released_check CHECK (
  status <> 'released'
  OR num_nonnulls(device_id, nfc_uid_hash, claim_code_hash, tap_key, id_key, next_tap_key,
    next_id_key, former_tap_key) = 0
);

CREATE TABLE ring_claims (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  ring_id uuid NOT NULL REFERENCES rings ON DELETE CASCADE, -- nobody's until the claim is done
  code_hash bytea NOT NULL, -- blind index of the code that opened it: asked again, answered again
  label text NOT NULL CHECK (length(label) BETWEEN 1 AND 80),
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done', 'refused')),
  nonce bytea NOT NULL CHECK (length(nonce) = 8),
  hub_public_key bytea NOT NULL CHECK (length(hub_public_key) = 32),
  hub_private_key bytea, -- sealed; emptied when the claim is done
  attempts smallint NOT NULL DEFAULT 0, -- wrong proofs
  proof_hash bytea, -- of the proof that won: the same one gets the same answer
  confirmation bytea CHECK (length(confirmation) = 16),
  gateway_id uuid REFERENCES gateways ON DELETE SET NULL, -- the last one that was asked to help
  asked int NOT NULL DEFAULT 0, -- how often one was asked
  asked_at timestamptz,
  gateway_code text CHECK (length(gateway_code) <= 64), -- why it could not, last time
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ring_claims_open_key ON ring_claims (user_id, ring_id) WHERE status = 'open';
CREATE INDEX ring_claims_ring_id_idx ON ring_claims (ring_id);
CREATE INDEX ring_claims_gateway_id_idx ON ring_claims (gateway_id) WHERE gateway_id IS NOT NULL;
CREATE INDEX ring_claims_expires_at_idx ON ring_claims (expires_at);
