-- All triggers but those of events.sql.

-- updated_at, on every table that has the column.
DO $$
DECLARE
  relation regclass;
BEGIN
  FOR relation IN
    SELECT attrelid::regclass
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'updated_at' AND relkind = 'r' AND relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format(
      'CREATE TRIGGER touch BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION app.touch()', relation
    );
  END LOOP;
END
$$;

-- The audit log. Columns that machines count are left out of UPDATE OF: a tap is no modification.
-- Without a trigger: logs that machines write (see tests/rls/test_audit.py).
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  email, full_name, timezone, locale, role, subscription_tier, subscription_status,
  onboarding_completed_at, deleted_at ON users
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'email', 'email_hash');

-- Each sign-in uses a login, which its session says already.
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF user_id, provider, issuer, subject, email_hash ON user_logins
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'subject', 'email_hash');

-- Counters advance with each sign-in.
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  user_id, credential_id, public_key, name, suspected_at ON passkey_credentials
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'credential_id', 'public_key', 'name');

-- Each sign-in confirms the address again.
CREATE TRIGGER audit
AFTER INSERT OR DELETE ON identity_hashes
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'hash');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON sessions
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'token_hash', 'device_name', 'user_agent', 'ip');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF name, scopes, expires_at, revoked_at ON api_keys
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'secret_hash');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  username, display_name, bio, visibility, privacy_settings, points, level ON profiles
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  user_id, label, kind, device_id, nfc_uid_hash, claim_code_hash, public_key, key_id, tap_key,
  id_key, next_tap_key, next_id_key, former_tap_key, claimed_boot, claimed_seq, verified,
  status ON rings
FOR EACH ROW EXECUTE FUNCTION
app.audit(
  'values', 'nfc_uid_hash', 'claim_code_hash', 'tap_key', 'id_key', 'next_tap_key', 'next_id_key',
  'former_tap_key'
);

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF status, attempts, gateway_id ON ring_claims
FOR EACH ROW EXECUTE FUNCTION
app.audit('values', 'code_hash', 'hub_private_key', 'proof_hash', 'confirmation');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  user_id, name, claim_hash, claim_key_hash, claimed_at, cert_serial, cert_expires_at, revoked_at,
  public_key, config
ON gateways
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'claim_hash', 'claim_key_hash');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  user_id, gateway_id, superseded_at, revoked_at, revoked_reason ON gateway_certificates
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'certificate', 'public_key_hash');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF kind, direct_key ON conversations
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF role, muted_until ON conversation_members
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON messages
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON contact_cards
FOR EACH ROW EXECUTE FUNCTION app.audit('names', 'card');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON data_keys
FOR EACH ROW EXECUTE FUNCTION app.audit('values', 'wrapped');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON feature_flags
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON cohorts
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON cohort_members
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON blocks
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON friendships
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

-- What people answer; the rest follows from rules, and an entry belongs to whoever acted.
CREATE TRIGGER audit
AFTER UPDATE OF answer OR DELETE ON touches
FOR EACH ROW EXECUTE FUNCTION app.audit('names', 'partner_user_id', 'partner_card');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON consents
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

-- What closeness and the fading of interests count is no change that somebody made.
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  full_name, first_name, last_name, company, job_title, linkedin_url, avatar_url, location, bio,
  notes, birthday, context, source, frequency, tags, linked_user_id, linked_by, archived_at,
  merged_into_id ON contacts
FOR EACH ROW EXECUTE FUNCTION
app.audit('values', 'notes', 'name_plain', 'name_words', 'company_plain', 'search');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON contact_methods
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF contact_id, decay_factor ON interests
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON contact_links
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON contact_merges
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR DELETE ON contact_distinctions
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON interactions
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON interaction_participants
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER fill_participant
BEFORE INSERT ON interaction_participants
FOR EACH ROW EXECUTE FUNCTION app.fill_participant();

CREATE TRIGGER follow_interactions
AFTER UPDATE ON interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.follow_interactions();

CREATE TRIGGER follow_merges
AFTER INSERT ON interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.follow_merges();

CREATE TRIGGER follow_merges
AFTER INSERT ON interaction_participants
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.follow_merges();

CREATE TRIGGER note_interactions
AFTER INSERT ON interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.note_interactions();

CREATE TRIGGER note_changed_interactions
AFTER UPDATE ON interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.note_interactions();

CREATE TRIGGER forget_changed_interactions
AFTER UPDATE ON interactions
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.forget_interactions();

CREATE TRIGGER forget_removed_interactions
AFTER DELETE ON interactions
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.forget_interactions();

CREATE TRIGGER fill_contact
BEFORE INSERT OR UPDATE OF full_name, company, job_title, tags ON contacts
FOR EACH ROW EXECUTE FUNCTION app.fill_contact();

CREATE TRIGGER unlink_blocked
AFTER INSERT ON blocks
FOR EACH ROW EXECUTE FUNCTION app.unlink_blocked();

CREATE TRIGGER unlink_unreachable
AFTER DELETE ON identity_hashes
FOR EACH ROW EXECUTE FUNCTION app.unlink_unreachable();

CREATE TRIGGER fill_linked_by
BEFORE UPDATE OF linked_user_id ON contacts
FOR EACH ROW WHEN (NEW.linked_user_id IS NULL) EXECUTE FUNCTION app.fill_linked_by();

CREATE TRIGGER create_self_contact
AFTER INSERT ON users
FOR EACH ROW WHEN (NEW.kind = 'person') EXECUTE FUNCTION app.create_self_contact();

CREATE TRIGGER rename_self_contact
AFTER UPDATE OF full_name ON users
FOR EACH ROW WHEN (OLD.full_name <> NEW.full_name) EXECUTE FUNCTION app.rename_self_contact();

-- What the hub counts of a job is no change that somebody made.
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF status, dry_run ON import_jobs
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER keep_consent
AFTER INSERT OR UPDATE OF granted, text_version ON consents
FOR EACH ROW EXECUTE FUNCTION app.keep_consent();

CREATE TRIGGER count_friends
AFTER INSERT OR DELETE ON friendships
FOR EACH ROW EXECUTE FUNCTION app.count_friends();

CREATE TRIGGER end_sessions
AFTER UPDATE OF role ON users
FOR EACH ROW WHEN (OLD.role <> NEW.role) EXECUTE FUNCTION app.end_sessions();

CREATE TRIGGER create_profile
AFTER INSERT ON users
FOR EACH ROW EXECUTE FUNCTION app.create_profile();

CREATE TRIGGER advance_conversation
AFTER INSERT ON messages
FOR EACH ROW EXECUTE FUNCTION app.note_message();

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON circles
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON circle_members
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON relationship_types
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON contact_relationship_types
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

-- What people answer; the rest follows from rules, and goes after a year.
CREATE TRIGGER audit
AFTER UPDATE OF status ON nudges
FOR EACH ROW WHEN (app.user_id() IS NOT NULL) EXECUTE FUNCTION app.audit('names');

-- A contact of long ago that becomes known now leaves the next one overdue.
CREATE TRIGGER settle_nudges
AFTER UPDATE OF last_touch_at ON relationship_health
FOR EACH ROW
WHEN (OLD.last_touch_at IS DISTINCT FROM NEW.last_touch_at AND NEW.next_touch_at > NEW.computed_at)
EXECUTE FUNCTION app.settle_nudges();

CREATE TRIGGER choose_primary_circle
BEFORE INSERT ON circle_members
FOR EACH ROW EXECUTE FUNCTION app.choose_primary_circle();

CREATE TRIGGER follow_primary_circle
AFTER DELETE ON circle_members
FOR EACH ROW WHEN (OLD.is_primary) EXECUTE FUNCTION app.follow_primary_circle();

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON connection_goals
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON goal_tags
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER audit
AFTER INSERT OR DELETE ON goal_tag_links
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON connection_paths
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

-- That the hub has told of one is no change that somebody made.
CREATE TRIGGER audit
AFTER INSERT OR DELETE OR UPDATE OF
  contact_id, title, note, timezone, first_local, recurrence, due_at, status, completed_at,
  snoozed_until ON reminders
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER UPDATE OF dismissed_at, acted_on_at OR DELETE ON insights
FOR EACH ROW EXECUTE FUNCTION app.audit('names');

CREATE TRIGGER audit
AFTER INSERT OR UPDATE OR DELETE ON achievements
FOR EACH ROW EXECUTE FUNCTION app.audit('values');

CREATE TRIGGER drop_evidence
AFTER DELETE ON insights
FOR EACH ROW EXECUTE FUNCTION app.drop_evidence('insight');

CREATE TRIGGER drop_evidence
AFTER DELETE ON interests
FOR EACH ROW EXECUTE FUNCTION app.drop_evidence('interest');

CREATE TRIGGER drop_evidence
AFTER DELETE ON contact_links
FOR EACH ROW EXECUTE FUNCTION app.drop_evidence('link');

-- By what paths lead. Strengths of contacts move each day by a little: how sure a way is may be an hour
-- old, but not whether somebody is on it at all (see app.shortest_path_of).
CREATE TRIGGER note_graph_added
AFTER INSERT ON contact_links
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION app.note_graph_changes();

CREATE TRIGGER note_graph_changed
AFTER UPDATE ON contact_links
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION app.note_graph_changes();

CREATE TRIGGER note_graph_removed
AFTER DELETE ON contact_links
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION app.note_graph_changes();

CREATE TRIGGER note_graph_change
AFTER UPDATE OF linked_user_id, archived_at, merged_into_id ON contacts
FOR EACH ROW
WHEN (
  (OLD.linked_user_id, OLD.archived_at, OLD.merged_into_id)
  IS DISTINCT FROM (NEW.linked_user_id, NEW.archived_at, NEW.merged_into_id)
)
EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER note_graph_known
AFTER UPDATE OF strength ON contacts
FOR EACH ROW WHEN ((OLD.strength >= 0.1) <> (NEW.strength >= 0.1))
EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER note_graph_left
AFTER DELETE ON contacts
FOR EACH ROW WHEN (OLD.linked_user_id IS NOT NULL)
EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER note_graph_change
AFTER INSERT OR DELETE ON friendships
FOR EACH ROW EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER note_graph_change
AFTER INSERT OR DELETE ON blocks
FOR EACH ROW EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER note_graph_change
AFTER UPDATE OF granted ON consents
FOR EACH ROW WHEN (NEW.purpose = 'introductions' AND OLD.granted <> NEW.granted)
EXECUTE FUNCTION app.note_graph_change();

CREATE TRIGGER notify
AFTER INSERT ON outbox
FOR EACH STATEMENT EXECUTE FUNCTION app.notify_outbox();
