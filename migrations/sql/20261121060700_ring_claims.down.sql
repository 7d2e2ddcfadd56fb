DROP TABLE ring_claims;
-- A released ring is nobody's any more; the older schema has no word for it but revoked.
UPDATE rings SET status = 'revoked' WHERE status = 'released';
ALTER TABLE rings
DROP CONSTRAINT rings_released_check,
DROP CONSTRAINT rings_status_check,
ADD CONSTRAINT rings_status_check CHECK (status IN ('unclaimed', 'active', 'lost', 'revoked')),
DROP COLUMN next_tap_key,
DROP COLUMN next_id_key,
DROP COLUMN former_tap_key,
DROP COLUMN key_version,
DROP COLUMN claimed_boot,
DROP COLUMN claimed_seq,
DROP COLUMN rotated_boot,
DROP COLUMN rotated_seq,
DROP COLUMN verified;
