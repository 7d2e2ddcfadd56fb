UPDATE sessions SET revoked_because = 'removed' WHERE revoked_because = 'role_changed';
ALTER TABLE sessions
  DROP CONSTRAINT sessions_revoked_because_check,
  ADD CONSTRAINT sessions_revoked_because_check CHECK (
    revoked_because IN ('exchanged', 'signed_out', 'removed', 'reused', 'expired')
  );
DROP INDEX audit_log_request_id_idx, audit_log_owner_id_idx;
ALTER TABLE audit_log
  DROP COLUMN actor_role,
  DROP COLUMN owner_id;
DROP TABLE consent_history, consents;
