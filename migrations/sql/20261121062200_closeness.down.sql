DROP INDEX contacts_birthday_idx;
DROP TABLE nudge_mornings, nudges, health_snapshots, health_shards, relationship_health,
contact_relationship_types, relationship_types, circle_members, circles;
-- A key that could do nothing else ends.
UPDATE api_keys
SET
  scopes = coalesce(
    nullif(
      ARRAY(
        SELECT s
        FROM unnest(scopes) AS s
        WHERE s NOT IN ('circles:read', 'circles:write', 'health:read', 'health:write')
      ),
      '{}'
    ),
    '{account:read}'
  ),
  revoked_at = CASE
    WHEN scopes <@ ARRAY['circles:read', 'circles:write', 'health:read', 'health:write']
      THEN coalesce(revoked_at, now())
    ELSE revoked_at
  END
WHERE scopes && ARRAY['circles:read', 'circles:write', 'health:read', 'health:write'];
ALTER TABLE api_keys
  DROP CONSTRAINT api_keys_scopes_check,
  ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'contacts:read',
      'contacts:write', 'friends:read', 'friends:write', 'gateways:read', 'gateways:write',
      'interactions:read', 'interactions:write', 'messages:read', 'messages:write',
      'realtime:read', 'rings:read', 'rings:write', 'taps:read', 'touches:read', 'touches:write'
    ]::text[]
  );
