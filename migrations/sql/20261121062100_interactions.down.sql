DROP TABLE interaction_participants, interactions;
-- A key that could do nothing else ends.
UPDATE api_keys
SET
  scopes = coalesce(
    nullif(array_remove(array_remove(scopes, 'interactions:read'), 'interactions:write'), '{}'),
    '{account:read}'
  ),
  revoked_at = CASE
    WHEN scopes <@ ARRAY['interactions:read', 'interactions:write'] THEN coalesce(revoked_at, now())
    ELSE revoked_at
  END
WHERE scopes && ARRAY['interactions:read', 'interactions:write'];
ALTER TABLE api_keys
  DROP CONSTRAINT api_keys_scopes_check,
  ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'contacts:read',
      'contacts:write', 'friends:read', 'friends:write', 'gateways:read', 'gateways:write',
      'messages:read', 'messages:write', 'realtime:read', 'rings:read', 'rings:write', 'taps:read',
      'touches:read', 'touches:write'
    ]::text[]
  );
