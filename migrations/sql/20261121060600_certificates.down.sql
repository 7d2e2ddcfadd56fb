DROP TABLE gateway_certificates;

ALTER TABLE gateways
  DROP CONSTRAINT gateways_user_id_id_key,
  DROP CONSTRAINT gateways_claim_check,
  DROP COLUMN claim_expires_at,
  DROP COLUMN claim_key_hash,
  DROP COLUMN claimed_at;
