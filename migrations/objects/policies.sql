-- Who may do what: grants say which verbs and columns, policies which rows. Everything not written
-- here is refused. Taken away first, so that a rule that left this file is gone.
DO $$
DECLARE
  p record;
  relation regclass;
BEGIN
  FOR p IN
    SELECT polname, polrelid::regclass AS relation
    FROM pg_policy
    JOIN pg_class ON pg_class.oid = polrelid
    WHERE relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('DROP POLICY %I ON %s', p.polname, p.relation);
  END LOOP;
  -- Under FORCE the owner is subject to policies too: without one its data migrations would update
  -- nothing and its dumps be empty. Partitions are reached through their parent's policies.
  FOR relation IN
    SELECT oid FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format(
      'CREATE POLICY machine ON %s TO ping_owner, ping_system, ping_definer
       USING (true) WITH CHECK (true)', relation
    );
  END LOOP;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public
FROM PUBLIC, ping_api, ping_worker, ping_system, ping_admin, ping_reader, ping_definer;

GRANT SELECT, INSERT, UPDATE, DELETE ON
  users, user_logins, identity_hashes, sessions, profiles, idempotency_keys, rings, gateways, gateway_certificates, ring_taps, rejected_taps,
  conversations, conversation_members, messages, events, outbox, consumer_tasks,
  ring_claims, contact_cards, blocks, friendships, touches, api_keys, passkey_credentials, consents,
  feature_flags, cohorts, cohort_members,
  contacts, contact_methods, interests, contact_links, contact_merges, contact_distinctions,
  interactions, interaction_participants,
  circles, circle_members, relationship_types, contact_relationship_types, relationship_health,
  health_shards, health_snapshots, nudges, nudge_mornings,
  connection_goals, goal_tags, goal_tag_links, connection_paths, connection_path_steps, path_searches,
  graph_changes, reminders, insights, insight_contacts, evidence, insight_weeks, streaks,
  achievements, achievement_progress, achievement_increments,
  import_jobs, import_chunks, import_rows
TO ping_system, ping_definer;
GRANT SELECT ON audit_log, consent_history TO ping_system;
-- Retired keys keep their row: their ids are never given away again.
GRANT SELECT, INSERT, UPDATE ON data_keys TO ping_system;
GRANT SELECT, INSERT ON audit_log, consent_history TO ping_definer;

-- users
GRANT SELECT (
  id, kind, email, full_name, timezone, locale, role, subscription_tier, subscription_status,
  onboarding_completed_at, last_login_at, deleted_at, created_at, updated_at
) ON users TO ping_api, ping_worker;
GRANT UPDATE (full_name, timezone, locale, onboarding_completed_at, last_login_at)
ON users TO ping_api, ping_worker;
CREATE POLICY own ON users TO ping_api, ping_worker
USING (id = (SELECT app.user_id())) WITH CHECK (id = (SELECT app.user_id()));

-- user_logins: written by the hub, after it has verified what a provider says; taken away by the user
GRANT SELECT (id, user_id, provider, issuer, last_used_at, created_at), DELETE
ON user_logins TO ping_api;
CREATE POLICY own ON user_logins TO ping_api
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- passkey_credentials: written by the hub, which has verified them; named by the user, and taken away
-- with their login
GRANT SELECT (
  id, user_id, credential_id, name, transports, is_user_verified, is_backup_eligible, is_backed_up,
  suspected_at, created_at, updated_at
), UPDATE (name) ON passkey_credentials TO ping_api;
CREATE POLICY own ON passkey_credentials TO ping_api
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- identity_hashes: written by the hub, after a provider has verified the address
GRANT SELECT (id, user_id, kind, verified_at, created_at), DELETE ON identity_hashes TO ping_api;
CREATE POLICY own ON identity_hashes TO ping_api
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- sessions: looked up by app.find_session, so the hash is never read back
GRANT SELECT (
  id, user_id, family_id, generation, device_name, user_agent, ip, expires_at, revoked_at,
  revoked_because, signed_in_at, authenticated_at, created_at, updated_at
) ON sessions TO ping_api, ping_worker;
GRANT INSERT (
  id, family_id, generation, token_hash, device_name, user_agent, ip, expires_at, signed_in_at,
  authenticated_at
) ON sessions TO ping_api;
GRANT UPDATE (device_name, revoked_at, revoked_because) ON sessions TO ping_api, ping_worker;
CREATE POLICY own ON sessions FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
-- Accounts of backends have API keys only.
CREATE POLICY own_new ON sessions FOR INSERT TO ping_api
WITH CHECK (
  user_id = (SELECT app.user_id())
  AND EXISTS (SELECT FROM users AS u WHERE u.id = user_id AND u.kind = 'person')
);
-- What is revoked stays so.
CREATE POLICY own_revoke ON sessions FOR UPDATE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()) AND revoked_at IS NULL)
WITH CHECK (user_id = (SELECT app.user_id()));

-- api_keys: looked up by app.find_api_key, so the hash is never read back; last_used_at is the hub's
GRANT SELECT (
  id, user_id, name, prefix, scopes, last_used_at, expires_at, revoked_at, created_at, updated_at
) ON api_keys TO ping_api;
GRANT INSERT (user_id, id, name, prefix, secret_hash, scopes, expires_at) ON api_keys TO ping_api;
GRANT UPDATE (name, scopes, revoked_at) ON api_keys TO ping_api;
CREATE POLICY own ON api_keys FOR SELECT TO ping_api
USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_new ON api_keys FOR INSERT TO ping_api
WITH CHECK (user_id = (SELECT app.user_id()));
-- What is revoked stays so.
CREATE POLICY own_change ON api_keys FOR UPDATE TO ping_api
USING (user_id = (SELECT app.user_id()) AND revoked_at IS NULL)
WITH CHECK (user_id = (SELECT app.user_id()));

-- Whatever a route forgets: a key sees and makes no way into the account.
CREATE POLICY not_by_key ON api_keys AS RESTRICTIVE TO ping_api, ping_worker
USING ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');
CREATE POLICY not_by_key ON user_logins AS RESTRICTIVE TO ping_api, ping_worker
USING ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');
CREATE POLICY not_by_key ON passkey_credentials AS RESTRICTIVE TO ping_api, ping_worker
USING ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');
CREATE POLICY not_by_key ON sessions AS RESTRICTIVE TO ping_api, ping_worker
USING ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');

-- consents: never deleted, so that a withdrawal stays known
GRANT SELECT ON consents TO ping_api, ping_worker;
GRANT INSERT (purpose, granted, text_version, source, granted_at, withdrawn_at) ON consents TO ping_api;
GRANT UPDATE (granted, text_version, source, granted_at, withdrawn_at) ON consents TO ping_api;
CREATE POLICY own ON consents TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
-- A key never speaks for the person.
CREATE POLICY not_by_key ON consents AS RESTRICTIVE FOR INSERT TO ping_api
WITH CHECK ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');
CREATE POLICY not_by_key_again ON consents AS RESTRICTIVE FOR UPDATE TO ping_api
USING ((SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key');

-- consent_history: written by a trigger only, changed by nobody
GRANT SELECT ON consent_history TO ping_api;
CREATE POLICY own ON consent_history FOR SELECT TO ping_api
USING (user_id = (SELECT app.user_id()));

-- feature_flags, cohorts: administrators', by the hub; processes read them by app.read_flags
-- cohort_members: whose flags differ by it
GRANT SELECT (id, cohort, user_id, created_at) ON cohort_members TO ping_api, ping_worker;
CREATE POLICY own ON cohort_members FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- profiles: points, counts and ranks are the machines'
GRANT SELECT ON profiles TO ping_api, ping_worker;
GRANT UPDATE (username, display_name, bio, visibility, privacy_settings, last_active_at)
ON profiles TO ping_api, ping_worker;
-- The cheap answers first: a list of friends asks them of each row, and the function of none. Whose
-- friend it is, the policy of friendships says; said here too, it would be compared twice each time.
CREATE POLICY visible ON profiles FOR SELECT TO ping_api, ping_worker
USING (
  user_id = (SELECT app.user_id())
  OR EXISTS (SELECT FROM friendships AS f WHERE f.friend_id = profiles.user_id)
  OR app.can_see_profile(user_id)
);
CREATE POLICY own ON profiles FOR UPDATE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- idempotency_keys
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO ping_api;
CREATE POLICY own ON idempotency_keys TO ping_api
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- rings: an owner renames, reports lost and found, and revokes, which cannot be undone. Claims and
-- releases are the hub's, with the user as the actor.
GRANT SELECT (
  id, user_id, label, kind, device_id, firmware_version, battery_pct, link, heard_by, status,
  verified, claimed_at, last_seen_at, created_at, updated_at
) ON rings TO ping_api, ping_worker;
GRANT UPDATE (label, status) ON rings TO ping_api, ping_worker;
CREATE POLICY own ON rings FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_change ON rings FOR UPDATE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()) AND status IN ('active', 'lost'))
WITH CHECK (user_id = (SELECT app.user_id()) AND status IN ('active', 'lost', 'revoked'));

-- ring_claims: written by the hub; its keys and hashes are never read back
GRANT SELECT (
  id, user_id, ring_id, label, status, nonce, hub_public_key, gateway_id, asked, gateway_code,
  expires_at, created_at, updated_at
) ON ring_claims TO ping_api, ping_worker;
CREATE POLICY own ON ring_claims FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- gateways: revoked by app.revoke_gateway, which cannot be undone
GRANT SELECT (
  id, user_id, name, claim_expires_at, claimed_at, cert_expires_at, revoked_at, version, adapters,
  capabilities, status, last_seen_at, config, config_rev, reported, health, health_at, watch, alerts,
  created_at, updated_at
) ON gateways TO ping_api, ping_worker;
GRANT INSERT (id, name) ON gateways TO ping_api;
GRANT UPDATE (name, config, config_rev) ON gateways TO ping_api;
CREATE POLICY own ON gateways TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- gateway_certificates: written by the hub, revoked by app.revoke_gateway
GRANT SELECT (
  id, user_id, gateway_id, serial, fingerprint, not_before, not_after, superseded_at, revoked_at,
  revoked_reason, created_at
) ON gateway_certificates TO ping_api, ping_worker;
CREATE POLICY own ON gateway_certificates FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- ring_taps: written by app.record_taps and app.record_sun_tap only. Whom a ring met is not shown
-- here but, once both agreed, in touches.
GRANT SELECT (
  id, user_id, ring_id, gateway_id, kind, source, boot, seq, lat, lon, rssi, tapped_at,
  uncertainty_ms, time_source, received_at, verified, state
) ON ring_taps TO ping_api, ping_worker;
CREATE POLICY own ON ring_taps FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- rejected_taps: what came over one's own gateways; the bytes are for operators
GRANT SELECT (id, gateway_id, device_id, boot, seq, reason, received_at) ON rejected_taps TO ping_api;
CREATE POLICY over_own_gateway ON rejected_taps FOR SELECT TO ping_api
USING (gateway_id IN (SELECT g.id FROM gateways AS g WHERE g.user_id = (SELECT app.user_id())));

-- contact_cards
GRANT SELECT ON contact_cards TO ping_api;
GRANT INSERT (card), UPDATE (card) ON contact_cards TO ping_api;
CREATE POLICY own ON contact_cards TO ping_api
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- blocks: whoever is blocked is not told
GRANT SELECT, DELETE ON blocks TO ping_api, ping_worker;
GRANT INSERT (blocked_id) ON blocks TO ping_api, ping_worker;
CREATE POLICY own ON blocks TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- friendships: written by app.befriend and app.unfriend only; the other side has a row of its own
GRANT SELECT ON friendships TO ping_api, ping_worker;
CREATE POLICY own ON friendships FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- touches: written by the hub's own processes only; each side has a row of its own
GRANT SELECT (
  id, user_id, ring_id, tap_id, state, is_asked, answer, partner_user_id, partner_card,
  conversation_id, touched_at, expires_at, created_at, updated_at
) ON touches TO ping_api, ping_worker;
CREATE POLICY own ON touches FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- conversations: opened by app.open_direct_conversation
GRANT SELECT ON conversations TO ping_api, ping_worker;
-- A function is called for each row, which costs more than the row. Of a sub-select the planner makes
-- a look-up by index, or for EXISTS where it expects many rows a hash table of one's conversations.
CREATE POLICY member ON conversations FOR SELECT TO ping_api, ping_worker
USING (
  (
    SELECT true FROM conversation_members AS m
    WHERE m.conversation_id = conversations.id AND m.user_id = (SELECT app.user_id())
  )
);

-- conversation_members
GRANT SELECT ON conversation_members TO ping_api, ping_worker;
GRANT UPDATE (last_read_id, muted_until) ON conversation_members TO ping_api, ping_worker;
-- A policy cannot ask its own table, so a function does, of the rows that are not one's own. The other
-- policies that ask this table look for one's own: a sub-select here would be set up for each of them.
CREATE POLICY member ON conversation_members FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()) OR app.in_conversation(conversation_id));
CREATE POLICY own ON conversation_members FOR UPDATE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- messages
GRANT SELECT ON messages TO ping_api, ping_worker;
GRANT INSERT (id, conversation_id, kind, body, reply_to_id, client_key, expires_at)
ON messages TO ping_api, ping_worker;
CREATE POLICY member ON messages FOR SELECT TO ping_api, ping_worker
USING (
  EXISTS (
    SELECT FROM conversation_members AS m
    WHERE m.conversation_id = messages.conversation_id AND m.user_id = (SELECT app.user_id())
  )
);
CREATE POLICY send ON messages FOR INSERT TO ping_api, ping_worker
WITH CHECK (sender_id = (SELECT app.user_id()) AND app.in_conversation(conversation_id));

-- events: written by triggers only
GRANT SELECT ON events TO ping_api, ping_worker;
CREATE POLICY own ON events FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- audit_log: written by triggers and app.audit_view only, changed by nobody. Of what others did with
-- one's data, one sees what administrators and the hub did: a friend's leaving is not announced.
GRANT SELECT ON audit_log TO ping_api, ping_admin;
CREATE POLICY own ON audit_log FOR SELECT TO ping_api
USING (
  user_id = (SELECT app.user_id())
  OR (
    owner_id = (SELECT app.user_id())
    AND (actor_kind NOT IN ('user', 'api_key') OR actor_role IN ('moderator', 'admin'))
  )
);
CREATE POLICY read_all ON audit_log FOR SELECT TO ping_admin
USING ((SELECT app.is_admin()));

-- contacts: archived or merged by people, taken away by the hub alone, for an import that is undone.
-- Whose they are, and which of them is their owner, nobody changes.
GRANT SELECT, INSERT (
  id, user_id, full_name, first_name, last_name, company, job_title, linkedin_url, avatar_url,
  location, bio, notes, birthday, context, source, frequency, tags
) ON contacts TO ping_api, ping_worker;
GRANT UPDATE (
  full_name, first_name, last_name, company, job_title, linkedin_url, avatar_url, location, bio,
  notes, birthday, context, source, strength, last_interaction_at, frequency, tags, linked_user_id,
  linked_by, archived_at, merged_into_id
) ON contacts TO ping_api, ping_worker;
CREATE POLICY own ON contacts TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- contact_methods
GRANT SELECT, INSERT, DELETE ON contact_methods TO ping_api, ping_worker;
GRANT UPDATE (contact_id, value, value_hash, label, is_primary, source)
ON contact_methods TO ping_api, ping_worker;
CREATE POLICY own ON contact_methods TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- interests
GRANT SELECT, INSERT, DELETE ON interests TO ping_api, ping_worker;
GRANT UPDATE (
  contact_id, confidence, evidence_count, first_detected_at, last_reinforced_at, decayed_at,
  decay_factor
) ON interests TO ping_api, ping_worker;
CREATE POLICY own ON interests TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- contact_links
GRANT SELECT, INSERT, DELETE ON contact_links TO ping_api, ping_worker;
GRANT UPDATE (contact_a_id, contact_b_id, kind, strength)
ON contact_links TO ping_api, ping_worker;
CREATE POLICY own ON contact_links TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- contact_merges: what was done is undone, or done once more after the undo of an earlier one
GRANT SELECT, INSERT, UPDATE (record, undone_at) ON contact_merges TO ping_api, ping_worker;
CREATE POLICY own ON contact_merges TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- contact_distinctions
GRANT SELECT, INSERT, DELETE ON contact_distinctions TO ping_api, ping_worker;
CREATE POLICY own ON contact_distinctions TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- interactions: which of them people change and take away, the hub says. Where one came from, and
-- what its source calls it, nobody changes: that is what keeps it from coming twice.
GRANT SELECT, DELETE ON interactions TO ping_api, ping_worker;
GRANT INSERT (
  id, user_id, contact_id, kind, direction, subject, content, summary, sentiment, occurred_at,
  duration_seconds, source, external_id, metadata, is_private
) ON interactions TO ping_api, ping_worker;
GRANT UPDATE (
  contact_id, kind, direction, subject, content, summary, sentiment, occurred_at, duration_seconds,
  metadata, is_private
) ON interactions TO ping_api, ping_worker;
CREATE POLICY own ON interactions TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
-- What is private is for the person: a key neither sees nor makes it.
CREATE POLICY private_not_by_key ON interactions AS RESTRICTIVE TO ping_api, ping_worker
USING (
  NOT is_private
  OR (SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key'
);

-- interaction_participants: as their interaction
GRANT SELECT (
  id, user_id, interaction_id, contact_id, role, address_kind, address, occurred_at, is_private,
  created_at, updated_at
), DELETE ON interaction_participants TO ping_api, ping_worker;
GRANT INSERT (
  id, user_id, interaction_id, contact_id, role, address_kind, address, address_hash
), UPDATE (contact_id) ON interaction_participants TO ping_api, ping_worker;
CREATE POLICY own ON interaction_participants TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
CREATE POLICY private_not_by_key ON interaction_participants AS RESTRICTIVE TO ping_api, ping_worker
USING (
  NOT is_private
  OR (SELECT current_setting('app.actor_kind', true)) IS DISTINCT FROM 'api_key'
);

-- circles
GRANT SELECT, INSERT, UPDATE (name, tier, color, position, cadence_days), DELETE
ON circles TO ping_api, ping_worker;
CREATE POLICY own ON circles TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- circle_members: which is the primary circle, triggers and app.set_primary_circle say
GRANT SELECT, INSERT, DELETE ON circle_members TO ping_api, ping_worker;
CREATE POLICY own ON circle_members TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- relationship_types: those of everybody are the migrations'
GRANT SELECT, DELETE ON relationship_types TO ping_api, ping_worker;
GRANT INSERT (id, user_id, name, display_name, scoring_weights, decay_rate)
ON relationship_types TO ping_api, ping_worker;
GRANT UPDATE (display_name, scoring_weights, decay_rate)
ON relationship_types TO ping_api, ping_worker;
CREATE POLICY visible ON relationship_types FOR SELECT TO ping_api, ping_worker
USING (
  user_id = (SELECT app.user_id())
  OR (
    user_id IS NULL
    AND EXISTS (SELECT FROM users AS u WHERE u.id = (SELECT app.user_id()))
  )
);
CREATE POLICY own_new ON relationship_types FOR INSERT TO ping_api, ping_worker
WITH CHECK (user_id = (SELECT app.user_id()));
CREATE POLICY own_change ON relationship_types FOR UPDATE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
CREATE POLICY own_removal ON relationship_types FOR DELETE TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- contact_relationship_types
GRANT SELECT, INSERT, DELETE ON contact_relationship_types TO ping_api, ping_worker;
CREATE POLICY own ON contact_relationship_types TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- relationship_health, health_snapshots: written by the hub, which counts private interactions too,
-- whoever acts
GRANT SELECT ON relationship_health, health_snapshots TO ping_api, ping_worker;
CREATE POLICY own ON relationship_health FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
CREATE POLICY own ON health_snapshots FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- nudges: written by the hub, closed by people
GRANT SELECT, UPDATE (status, closed_at) ON nudges TO ping_api, ping_worker;
CREATE POLICY own ON nudges TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- connection_goals
GRANT SELECT, DELETE ON connection_goals TO ping_api, ping_worker;
GRANT INSERT (user_id, contact_id, kind, intention, timeline, success_criteria),
UPDATE (contact_id, kind, intention, timeline, success_criteria, status, achieved_at)
ON connection_goals TO ping_api, ping_worker;
CREATE POLICY own ON connection_goals TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- goal_tags, achievements: the same for everybody, written by migrations
GRANT SELECT ON goal_tags, achievements TO ping_api, ping_worker;
CREATE POLICY everybody ON goal_tags FOR SELECT TO ping_api, ping_worker
USING (EXISTS (SELECT FROM users AS u WHERE u.id = (SELECT app.user_id())));
CREATE POLICY everybody ON achievements FOR SELECT TO ping_api, ping_worker
USING (EXISTS (SELECT FROM users AS u WHERE u.id = (SELECT app.user_id())));

-- goal_tag_links
GRANT SELECT, INSERT, DELETE ON goal_tag_links TO ping_api, ping_worker;
CREATE POLICY own ON goal_tag_links TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- connection_paths, connection_path_steps: kept as they were found; people say how far they came
GRANT SELECT, INSERT, DELETE, UPDATE (goal_id, status) ON connection_paths TO ping_api, ping_worker;
CREATE POLICY own ON connection_paths TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
GRANT SELECT, INSERT ON connection_path_steps TO ping_api, ping_worker;
CREATE POLICY own ON connection_path_steps TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- path_searches: read by app.read_path, which knows whether they still hold. graph_changes: triggers'
GRANT SELECT (user_id, digest), INSERT, DELETE ON path_searches TO ping_api, ping_worker;
CREATE POLICY own ON path_searches TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- reminders
GRANT SELECT, DELETE ON reminders TO ping_api, ping_worker;
GRANT INSERT (user_id, contact_id, title, note, timezone, first_local, recurrence, due_at),
UPDATE (
  contact_id, title, note, timezone, first_local, recurrence, due_at, status, completed_at,
  snoozed_until, fired_at
) ON reminders TO ping_api, ping_worker;
CREATE POLICY own ON reminders TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- insights: written by the hub, answered by the user. Evidence of interests is the user's too.
GRANT SELECT, UPDATE (dismissed_at, acted_on_at) ON insights TO ping_api, ping_worker;
CREATE POLICY own ON insights TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));
GRANT SELECT ON insight_contacts, evidence TO ping_api, ping_worker;
CREATE POLICY own ON insight_contacts FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
GRANT INSERT ON evidence TO ping_api, ping_worker;
CREATE POLICY own ON evidence FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
CREATE POLICY own_new ON evidence FOR INSERT TO ping_api, ping_worker
WITH CHECK (user_id = (SELECT app.user_id()));

-- streaks, achievement_progress: counted by the hub. insight_weeks, achievement_increments: its own.
GRANT SELECT ON streaks, achievement_progress TO ping_api, ping_worker;
CREATE POLICY own ON streaks FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));
CREATE POLICY own ON achievement_progress FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- import_jobs: what was found in a file, and how far it is, the hub writes
GRANT SELECT, INSERT, UPDATE (
  dry_run, status, items_processed, items_created
) ON import_jobs TO ping_api, ping_worker;
CREATE POLICY own ON import_jobs TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id())) WITH CHECK (user_id = (SELECT app.user_id()));

-- import_chunks: handed in, and read by the hub alone
GRANT INSERT ON import_chunks TO ping_api;
CREATE POLICY own ON import_chunks FOR INSERT TO ping_api
WITH CHECK (user_id = (SELECT app.user_id()));

-- import_rows: what they hold until it is brought in is shown to whom it is of
GRANT SELECT (payload) ON import_rows TO ping_api;
GRANT SELECT (
  id, user_id, import_id, position, kind, status, problems, contact_id, interaction_id, created_at,
  updated_at
) ON import_rows TO ping_api, ping_worker;
CREATE POLICY own ON import_rows FOR SELECT TO ping_api, ping_worker
USING (user_id = (SELECT app.user_id()));

-- Functions: PUBLIC may call none.
DO $$
DECLARE
  f record;
BEGIN
  FOR f IN
    SELECT oid::regprocedure AS signature, pg_get_userbyid(proowner) AS owner
    FROM pg_proc
    WHERE pronamespace = 'app'::regnamespace
  LOOP
    EXECUTE format('SET LOCAL ROLE %I', f.owner);
    EXECUTE format(
      'REVOKE ALL ON FUNCTION %s
       FROM PUBLIC, ping_api, ping_worker, ping_system, ping_admin, ping_reader', f.signature
    );
  END LOOP;
END
$$;

SET LOCAL ROLE ping_owner;
GRANT EXECUTE ON FUNCTION app.user_id(), app.role(), app.request_id()
TO ping_api, ping_worker, ping_system, ping_admin, ping_reader, ping_definer;
GRANT EXECUTE ON FUNCTION app.create_partitions(int), app.drop_health_snapshots(int) TO ping_system;

SET LOCAL ROLE ping_definer;
-- Called by a trigger, as whoever writes the contact.
GRANT EXECUTE ON FUNCTION app.plain_text(text), app.plain_words(text), app.typed_text(text)
TO ping_api, ping_worker, ping_system, ping_owner;
-- Called by policies and defaults, so every login that reads the tables.
GRANT EXECUTE ON FUNCTION
app.in_conversation(uuid), app.can_see_profile(uuid)
TO ping_api, ping_worker, ping_system, ping_owner;
GRANT EXECUTE ON FUNCTION app.allows(uuid, text) TO ping_api, ping_worker, ping_system;
GRANT EXECUTE ON FUNCTION app.read_flags() TO ping_api, ping_worker, ping_system;
GRANT EXECUTE ON FUNCTION app.is_admin() TO ping_api, ping_system, ping_admin;
GRANT EXECUTE ON FUNCTION app.audit_view(text, text, text, uuid, jsonb)
TO ping_api, ping_worker, ping_system, ping_admin;
GRANT EXECUTE ON FUNCTION
app.find_session(bytea), app.find_login(text, text), app.find_api_key(bytea), app.open_direct_conversation(uuid),
app.lock_conversation(uuid), app.new_gateway_code(uuid, bytea, int), app.revoke_gateway(uuid), app.unfriend(uuid),
app.match_identities(int[], text[], bytea[], int), app.set_primary_circle(uuid, uuid), app.search_contacts(text, boolean, uuid, int), app.link_matched(uuid[], uuid[]),
app.move_contact_rows(text, text, text[], uuid, uuid, jsonb), app.note_reuse(uuid)
TO ping_api;
GRANT EXECUTE ON FUNCTION app.search_interactions(
  text, timestamptz, timestamptz, uuid, text, text, timestamptz, uuid, int
) TO ping_api, ping_worker;
GRANT EXECUTE ON FUNCTION app.shortest_path(uuid[], int), app.read_path(bytea)
TO ping_api, ping_worker;
GRANT EXECUTE ON FUNCTION app.shortest_path_of(uuid, uuid[], int) TO ping_system;
-- The actor of these is in each row: only the hub's own processes call them.
GRANT EXECUTE ON FUNCTION
app.record_taps(jsonb), app.record_reads(jsonb), app.record_sun_tap(bytea[], int, bytea, bytea),
app.emit(text, uuid, text, uuid, jsonb), app.befriend(uuid, uuid, text),
app.is_blocked(uuid, uuid), app.answer_touch(uuid, uuid, text),
app.exchange_touch(uuid, uuid[], bytea[]),
app.find_sealed(text, text, text, uuid, bytea, int), app.count_sealed(text, text),
app.count_indexes(text, text), app.contacts_beside(), app.contacts_met(),
app.reseal(text, text, text, uuid[], bytea[], bytea[]), app.contact_fingerprint(uuid, uuid)
TO ping_system;
-- CREATE TRIGGER asks for it; firing does not.
GRANT EXECUTE ON FUNCTION
app.note_graph_change(), app.note_graph_changes(), app.drop_evidence(), app.emit_achievement()
TO ping_owner;
GRANT EXECUTE ON FUNCTION
app.emit_row(), app.emit_rows(), app.emit_session_revoked(), app.emit_cohort_left(), app.audit(), app.notify_outbox(),
app.create_profile(), app.note_message(), app.count_friends(), app.keep_consent(),
app.end_sessions(), app.emit_session_reused(), app.emit_identity_lost(), app.create_self_contact(), app.rename_self_contact(), app.fill_contact(), app.emit_job_changed(), app.emit_methods_changed(),
app.unlink_blocked(), app.unlink_unreachable(), app.fill_linked_by(), app.note_interactions(), app.follow_merges(), app.forget_interactions(), app.fill_participant(),
app.follow_interactions(),
app.choose_primary_circle(), app.follow_primary_circle(), app.emit_closeness(),
app.emit_closeness_of_circle(), app.emit_closeness_of_type(), app.emit_closeness_of_interactions(),
app.emit_closeness_of_participants(),
app.settle_nudges()
TO ping_owner;

SET LOCAL ROLE ping_owner;
