ALTER TABLE gateways
  DROP COLUMN sessions,
  DROP COLUMN reported,
  DROP COLUMN health,
  DROP COLUMN health_at;
