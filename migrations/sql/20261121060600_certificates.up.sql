ALTER TABLE gateways
  ADD COLUMN claim_expires_at timestamptz,
  -- SHA-256 of the public key that has used the code: to that one the answer is repeated.
  ADD COLUMN claim_key_hash bytea CHECK (length(claim_key_hash) = 32),
  ADD COLUMN claimed_at timestamptz,
  ADD CONSTRAINT gateways_claim_check
  CHECK (claim_hash IS NOT NULL OR (claim_expires_at IS NULL AND claim_key_hash IS NULL)),
  ADD UNIQUE (user_id, id); -- the target of tenant foreign keys

CREATE TABLE gateway_certificates (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  -- Both NULL when the gateway is gone: its certificates stay revoked until they end by themselves.
  user_id uuid,
  gateway_id uuid,
  serial text NOT NULL UNIQUE CHECK (serial ~ '^[0-9a-f]{16,40}$'),
  fingerprint bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32), -- SHA-256 of the DER
  public_key_hash bytea NOT NULL CHECK (length(public_key_hash) = 32), -- SHA-256 of the DER
  certificate bytea NOT NULL, -- DER; sent again when an answer was lost
  not_before timestamptz NOT NULL,
  not_after timestamptz NOT NULL,
  superseded_at timestamptz,
  revoked_at timestamptz,
  revoked_reason text CHECK (revoked_reason IN ('revoked', 'replaced')),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT gateway_certificates_life_check CHECK (not_before < not_after),
  CONSTRAINT gateway_certificates_owner_check CHECK ((user_id IS NULL) = (gateway_id IS NULL)),
  CONSTRAINT gateway_certificates_revoked_check
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
  FOREIGN KEY (user_id, gateway_id) REFERENCES gateways (user_id, id) ON DELETE SET NULL
);
CREATE INDEX gateway_certificates_gateway_id_idx
ON gateway_certificates (user_id, gateway_id, id DESC);
-- The list of revoked certificates.
CREATE INDEX gateway_certificates_not_after_idx ON gateway_certificates (not_after)
WHERE revoked_at IS NOT NULL OR superseded_at IS NOT NULL OR gateway_id IS NULL;
