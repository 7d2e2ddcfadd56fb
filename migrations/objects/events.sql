-- The catalogue of events: which change of which row becomes which event with which payload.
-- app.emit_row(type, subject type, subject column, owner column, payload columns…) for updates, and
-- app.emit_rows with the same arguments for whole inserts: twice as fast for a batch of taps, half
-- as fast for a single row.
-- Payload Structs are in hub/domains/<slice>/events.py; a test fires each trigger and decodes it.

CREATE TRIGGER emit_ring_claimed
AFTER UPDATE OF user_id ON rings
FOR EACH ROW WHEN (OLD.user_id IS NULL AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'ring.claimed', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_renamed
AFTER UPDATE OF label ON rings
FOR EACH ROW
WHEN (OLD.label IS DISTINCT FROM NEW.label AND OLD.user_id = NEW.user_id AND NEW.label IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'ring.renamed', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_lost
AFTER UPDATE OF status ON rings
FOR EACH ROW WHEN (OLD.status <> 'lost' AND NEW.status = 'lost')
EXECUTE FUNCTION app.emit_row(
  'ring.lost', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_found
AFTER UPDATE OF status ON rings
FOR EACH ROW WHEN (OLD.status = 'lost' AND NEW.status = 'active')
EXECUTE FUNCTION app.emit_row(
  'ring.found', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_released
AFTER UPDATE OF status ON rings
FOR EACH ROW WHEN (OLD.status <> 'released' AND NEW.status = 'released')
EXECUTE FUNCTION app.emit_row(
  'ring.released', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_revoked
AFTER UPDATE OF status ON rings
FOR EACH ROW WHEN (OLD.status <> 'revoked' AND NEW.status = 'revoked')
EXECUTE FUNCTION app.emit_row(
  'ring.revoked', 'ring', 'id', 'user_id', 'ring_id=id', 'label', 'kind', 'status'
);

CREATE TRIGGER emit_ring_claim_asked
AFTER UPDATE OF asked ON ring_claims
FOR EACH ROW WHEN (OLD.asked < NEW.asked AND NEW.gateway_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'ring.claim_asked', 'ring', 'ring_id', 'user_id', 'claim_id=id', 'ring_id', 'gateway_id'
);

CREATE TRIGGER emit_ring_tapped
AFTER INSERT ON ring_taps
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT
EXECUTE FUNCTION app.emit_rows(
  'ring.tapped', 'ring', 'ring_id', 'user_id',
  'tap_id=id', 'ring_id', 'kind', 'source', 'boot', 'seq', 'rssi', 'gateway_id', 'tapped_at',
  'uncertainty_ms', 'time_source', 'verified'
);

CREATE TRIGGER emit_gateway_online
AFTER UPDATE OF status ON gateways
FOR EACH ROW
WHEN (OLD.status <> 'online' AND NEW.status = 'online' AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.online', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'status', 'last_seen_at'
);

CREATE TRIGGER emit_gateway_offline
AFTER UPDATE OF status ON gateways
FOR EACH ROW
WHEN (OLD.status <> 'offline' AND NEW.status = 'offline' AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.offline', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'status', 'last_seen_at'
);

CREATE TRIGGER emit_gateway_configured
AFTER UPDATE OF config_rev ON gateways
FOR EACH ROW WHEN (OLD.config_rev < NEW.config_rev AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.configured', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'config_rev'
);

CREATE TRIGGER emit_gateway_reported
AFTER UPDATE OF reported ON gateways
FOR EACH ROW WHEN (OLD.reported IS DISTINCT FROM NEW.reported AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.reported', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'reported'
);

CREATE TRIGGER emit_gateway_alerted
AFTER UPDATE OF alerts ON gateways
FOR EACH ROW
WHEN (OLD.alerts IS DISTINCT FROM NEW.alerts AND NEW.alerts <> '{}' AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.alerted', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'alerts'
);

CREATE TRIGGER emit_gateway_recovered
AFTER UPDATE OF alerts ON gateways
FOR EACH ROW WHEN (OLD.alerts <> '{}' AND NEW.alerts = '{}' AND NEW.user_id IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.recovered', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'alerts'
);

CREATE TRIGGER emit_ring_changed
AFTER UPDATE OF battery_pct, firmware_version, link ON rings
FOR EACH ROW
WHEN (
  NEW.user_id IS NOT NULL
  AND OLD.user_id = NEW.user_id
  AND (OLD.battery_pct, OLD.firmware_version, OLD.link)
    IS DISTINCT FROM (NEW.battery_pct, NEW.firmware_version, NEW.link)
)
EXECUTE FUNCTION app.emit_row(
  'ring.changed', 'ring', 'id', 'user_id',
  'ring_id=id', 'battery_pct', 'firmware_version', 'link', 'last_seen_at'
);

CREATE TRIGGER emit_gateway_claimed
AFTER UPDATE OF claimed_at ON gateways
FOR EACH ROW
WHEN (OLD.claimed_at IS DISTINCT FROM NEW.claimed_at AND NEW.claimed_at IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.claimed', 'gateway', 'id', 'user_id',
  'gateway_id=id', 'name', 'claimed_at', 'cert_expires_at'
);

CREATE TRIGGER emit_gateway_revoked
AFTER UPDATE OF revoked_at ON gateways
FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'gateway.revoked', 'gateway', 'id', 'user_id', 'gateway_id=id', 'name', 'revoked_at'
);

CREATE TRIGGER emit_conversation_opened
AFTER INSERT ON conversations
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT
EXECUTE FUNCTION app.emit_rows(
  'conversation.opened', 'conversation', 'id', '', 'conversation_id=id', 'kind'
);

-- Triggers of a row fire in the order of their names: after advance_conversation and its lock.
CREATE TRIGGER emit_message_sent
AFTER INSERT ON messages
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'message.sent', 'conversation', 'conversation_id', 'sender_id',
  'message_id=id', 'conversation_id', 'sender_id', 'kind', 'body', 'reply_to_id', 'created_at'
);

CREATE CONSTRAINT TRIGGER emit_session_revoked
AFTER UPDATE OF revoked_at ON sessions
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION app.emit_session_revoked('session.revoked');

CREATE TRIGGER emit_identity_lost
AFTER DELETE ON identity_hashes
FOR EACH ROW EXECUTE FUNCTION app.emit_identity_lost('identity.lost');

CREATE TRIGGER emit_session_reused
AFTER UPDATE OF revoked_because ON sessions
FOR EACH ROW WHEN (OLD.revoked_because = 'exchanged' AND NEW.revoked_because = 'reused')
EXECUTE FUNCTION app.emit_session_reused('session.reused');

-- A touch is one row per side, so each side is told of its own and of nothing else.
CREATE TRIGGER emit_touch_asked
AFTER INSERT ON touches
FOR EACH ROW WHEN (NEW.is_asked)
EXECUTE FUNCTION app.emit_row(
  'touch.asked', 'touch', 'id', 'user_id', 'touch_id=id', 'ring_id', 'touched_at', 'expires_at'
);

CREATE TRIGGER emit_touch_mutual
AFTER UPDATE OF state ON touches
FOR EACH ROW WHEN (OLD.state <> 'mutual' AND NEW.state = 'mutual')
EXECUTE FUNCTION app.emit_row(
  'touch.mutual', 'touch', 'id', 'user_id', 'touch_id=id', 'ring_id', 'touched_at', 'is_asked'
);

CREATE TRIGGER emit_touch_exchanged
AFTER UPDATE OF state ON touches
FOR EACH ROW WHEN (OLD.state <> 'exchanged' AND NEW.state = 'exchanged')
EXECUTE FUNCTION app.emit_row(
  'touch.exchanged', 'touch', 'id', 'user_id',
  'touch_id=id', 'ring_id', 'touched_at', 'partner_id=partner_user_id', 'conversation_id'
);

CREATE TRIGGER emit_friendship_created
AFTER INSERT ON friendships
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'friendship.created', 'user', 'friend_id', 'user_id', 'friend_id', 'source', 'created_at'
);

CREATE TRIGGER emit_subscription_changed
AFTER UPDATE OF subscription_tier, subscription_status ON users
FOR EACH ROW
WHEN (
  (OLD.subscription_tier, OLD.subscription_status)
  IS DISTINCT FROM (NEW.subscription_tier, NEW.subscription_status)
)
EXECUTE FUNCTION app.emit_row(
  'subscription.changed', 'user', 'id', 'id',
  'tier=subscription_tier', 'status=subscription_status'
);

CREATE TRIGGER emit_consent_withdrawn
AFTER UPDATE OF granted ON consents
FOR EACH ROW WHEN (OLD.granted AND NOT NEW.granted)
EXECUTE FUNCTION app.emit_row(
  'consent.withdrawn', 'user', 'user_id', 'user_id', 'purpose', 'withdrawn_at'
);

-- They name no flag: subscribers read again what is on for them. A cohort that no flag names changes
-- nothing, so only its changes count.
CREATE TRIGGER emit_flag_added
AFTER INSERT ON feature_flags
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_rows('flags.changed', 'flag', 'id', '');

CREATE TRIGGER emit_flag_changed
AFTER UPDATE ON feature_flags
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_rows('flags.changed', 'flag', 'id', '');

CREATE TRIGGER emit_flag_removed
AFTER DELETE ON feature_flags
REFERENCING OLD TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_rows('flags.changed', 'flag', 'id', '');

CREATE TRIGGER emit_cohort_changed
AFTER UPDATE ON cohorts
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_rows('flags.changed', 'cohort', 'id', '');

CREATE TRIGGER emit_cohort_joined
AFTER INSERT ON cohort_members
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_rows('cohort.joined', 'user', 'user_id', 'user_id');

CREATE TRIGGER emit_cohort_left
AFTER DELETE ON cohort_members
FOR EACH ROW EXECUTE FUNCTION app.emit_cohort_left('cohort.left');

CREATE TRIGGER emit_interaction_recorded
AFTER INSERT ON interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT
EXECUTE FUNCTION app.emit_rows(
  'interaction.recorded', 'interaction', 'id', 'user_id',
  'interaction_id=id', 'contact_id', 'kind', 'direction', 'occurred_at', 'is_private'
);

-- Not the self contact, which comes with the account.
CREATE TRIGGER emit_contact_created
AFTER INSERT ON contacts
FOR EACH ROW WHEN (NOT NEW.is_self)
EXECUTE FUNCTION app.emit_row(
  'contact.created', 'contact', 'id', 'user_id',
  'contact_id=id', 'full_name', 'company', 'job_title', 'tags', 'source'
);

CREATE TRIGGER emit_contact_updated
AFTER UPDATE OF
  full_name, first_name, last_name, company, job_title, linkedin_url, avatar_url, location, bio,
  notes, birthday, context, frequency, tags, linked_user_id ON contacts
FOR EACH ROW
WHEN (
  NEW.merged_into_id IS NULL
  AND (
    OLD.full_name, OLD.first_name, OLD.last_name, OLD.company, OLD.job_title, OLD.linkedin_url,
    OLD.avatar_url, OLD.location, OLD.bio, OLD.notes, OLD.birthday, OLD.context, OLD.frequency,
    OLD.tags, OLD.linked_user_id
  ) IS DISTINCT FROM (
    NEW.full_name, NEW.first_name, NEW.last_name, NEW.company, NEW.job_title, NEW.linkedin_url,
    NEW.avatar_url, NEW.location, NEW.bio, NEW.notes, NEW.birthday, NEW.context, NEW.frequency,
    NEW.tags, NEW.linked_user_id
  )
  -- Sealed anew by another key it is the same to everybody.
  AND current_setting('app.endpoint', true) IS DISTINCT FROM 'keys.reseal'
)
EXECUTE FUNCTION app.emit_row(
  'contact.updated', 'contact', 'id', 'user_id',
  'contact_id=id', 'full_name', 'company', 'job_title', 'tags'
);

CREATE TRIGGER emit_contact_job_changed
AFTER UPDATE OF company, job_title ON contacts
FOR EACH ROW
WHEN (
  NOT NEW.is_self
  AND (OLD.company IS DISTINCT FROM NEW.company AND OLD.company IS NOT NULL
    OR OLD.job_title IS DISTINCT FROM NEW.job_title AND OLD.job_title IS NOT NULL)
)
EXECUTE FUNCTION app.emit_job_changed('contact.job_changed');

CREATE TRIGGER emit_contact_archived
AFTER UPDATE OF archived_at ON contacts
FOR EACH ROW
WHEN (OLD.archived_at IS NULL AND NEW.archived_at IS NOT NULL AND NEW.merged_into_id IS NULL)
EXECUTE FUNCTION app.emit_row('contact.archived', 'contact', 'id', 'user_id', 'contact_id=id');

CREATE TRIGGER emit_contact_restored
AFTER UPDATE OF archived_at ON contacts
FOR EACH ROW
WHEN (OLD.archived_at IS NOT NULL AND NEW.archived_at IS NULL AND OLD.merged_into_id IS NULL)
EXECUTE FUNCTION app.emit_row('contact.restored', 'contact', 'id', 'user_id', 'contact_id=id');

CREATE TRIGGER emit_contact_methods_added
AFTER INSERT ON contact_methods
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_methods_changed('contact.updated');

CREATE TRIGGER emit_contact_methods_changed
AFTER UPDATE ON contact_methods
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_methods_changed('contact.updated');

CREATE TRIGGER emit_contact_methods_removed
AFTER DELETE ON contact_methods
REFERENCING OLD TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_methods_changed('contact.updated');

CREATE TRIGGER emit_contact_merged
AFTER INSERT ON contact_merges
FOR EACH ROW EXECUTE FUNCTION app.emit_row(
  'contact.merged', 'contact', 'kept_id', 'user_id', 'merge_id=id', 'kept_id', 'merged_id'
);

CREATE TRIGGER emit_contact_unmerged
AFTER UPDATE OF undone_at ON contact_merges
FOR EACH ROW WHEN (OLD.undone_at IS NULL AND NEW.undone_at IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'contact.unmerged', 'contact', 'kept_id', 'user_id', 'merge_id=id', 'kept_id', 'merged_id'
);

-- The first one is a change too: until then nothing was known.
CREATE TRIGGER emit_health_begun
AFTER INSERT ON relationship_health
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'health.changed', 'contact', 'contact_id', 'user_id',
  'contact_id', 'score', 'strength', 'band', 'trend', 'next_touch_at', 'computed_at'
);

-- Whoever writes the row sets told_score when the change is worth telling.
CREATE TRIGGER emit_health_changed
AFTER UPDATE OF told_score, band ON relationship_health
FOR EACH ROW WHEN (OLD.told_score <> NEW.told_score OR OLD.band <> NEW.band)
EXECUTE FUNCTION app.emit_row(
  'health.changed', 'contact', 'contact_id', 'user_id',
  'contact_id', 'score', 'strength', 'band', 'trend', 'next_touch_at', 'computed_at'
);

CREATE TRIGGER emit_nudge_created
AFTER INSERT ON nudges
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT
EXECUTE FUNCTION app.emit_rows(
  'nudge.created', 'contact', 'contact_id', 'user_id',
  'nudge_id=id', 'contact_id', 'kind', 'created_at'
);

CREATE TRIGGER emit_closeness
AFTER INSERT OR DELETE OR UPDATE OF is_primary ON circle_members
FOR EACH ROW EXECUTE FUNCTION app.emit_closeness('closeness.changed', 'contact_id');

CREATE TRIGGER emit_closeness
AFTER INSERT OR DELETE ON contact_relationship_types
FOR EACH ROW EXECUTE FUNCTION app.emit_closeness('closeness.changed', 'contact_id');

CREATE TRIGGER emit_closeness
AFTER UPDATE OF cadence_days ON circles
FOR EACH ROW WHEN (OLD.cadence_days <> NEW.cadence_days)
EXECUTE FUNCTION app.emit_closeness_of_circle('closeness.changed');

CREATE TRIGGER emit_closeness
AFTER UPDATE OF scoring_weights, decay_rate ON relationship_types
FOR EACH ROW
WHEN (
  (OLD.scoring_weights, OLD.decay_rate) IS DISTINCT FROM (NEW.scoring_weights, NEW.decay_rate)
)
EXECUTE FUNCTION app.emit_closeness_of_type('closeness.changed');

CREATE TRIGGER emit_closeness_of_changed
AFTER UPDATE ON interactions
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_closeness_of_interactions('closeness.changed');

CREATE TRIGGER emit_closeness_of_removed
AFTER DELETE ON interactions
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_closeness_of_interactions('closeness.changed');

CREATE TRIGGER emit_closeness_of_added
AFTER INSERT ON interaction_participants
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_closeness_of_participants('closeness.changed');

CREATE TRIGGER emit_closeness_of_changed
AFTER UPDATE ON interaction_participants
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_closeness_of_participants('closeness.changed');

CREATE TRIGGER emit_closeness_of_removed
AFTER DELETE ON interaction_participants
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION app.emit_closeness_of_participants('closeness.changed');

CREATE TRIGGER emit_closeness_begun
AFTER INSERT ON contacts
FOR EACH ROW WHEN (NEW.frequency IS NOT NULL)
EXECUTE FUNCTION app.emit_closeness('closeness.changed', 'id');

CREATE TRIGGER emit_closeness
AFTER UPDATE OF frequency ON contacts
FOR EACH ROW WHEN (OLD.frequency IS DISTINCT FROM NEW.frequency)
EXECUTE FUNCTION app.emit_closeness('closeness.changed', 'id');

CREATE TRIGGER emit_goal_set
AFTER INSERT ON connection_goals
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'goal.set', 'goal', 'id', 'user_id', 'goal_id=id', 'kind', 'contact_id', 'timeline'
);

CREATE TRIGGER emit_goal_achieved
AFTER UPDATE OF status ON connection_goals
FOR EACH ROW WHEN (OLD.status <> 'achieved' AND NEW.status = 'achieved')
EXECUTE FUNCTION app.emit_row(
  'goal.achieved', 'goal', 'id', 'user_id', 'goal_id=id', 'kind', 'contact_id', 'achieved_at'
);

CREATE TRIGGER emit_reminder_due
AFTER UPDATE OF fired_at ON reminders
FOR EACH ROW WHEN (OLD.fired_at IS NULL AND NEW.fired_at IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'reminder.due', 'reminder', 'id', 'user_id',
  'reminder_id=id', 'contact_id', 'title', 'due_at', 'snoozed_until'
);

CREATE TRIGGER emit_insight_created
AFTER INSERT ON insights
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'insight.created', 'insight', 'id', 'user_id',
  'insight_id=id', 'kind', 'title', 'content', 'actionable', 'created_at'
);

CREATE TRIGGER emit_streak_milestone
AFTER UPDATE OF length ON streaks
FOR EACH ROW WHEN (OLD.length < NEW.length AND NEW.length IN (7, 30, 100, 365, 1000))
EXECUTE FUNCTION app.emit_row(
  'streak.milestone', 'streak', 'id', 'user_id', 'streak_id=id', 'kind', 'length', 'started_on'
);

CREATE TRIGGER emit_streak_at_risk
AFTER UPDATE OF at_risk_on ON streaks
FOR EACH ROW WHEN (OLD.at_risk_on IS DISTINCT FROM NEW.at_risk_on AND NEW.at_risk_on IS NOT NULL)
EXECUTE FUNCTION app.emit_row(
  'streak.at_risk', 'streak', 'id', 'user_id', 'streak_id=id', 'kind', 'length', 'at_risk_on'
);

CREATE TRIGGER emit_achievement_unlocked
AFTER UPDATE OF unlocked_at ON achievement_progress
FOR EACH ROW WHEN (OLD.unlocked_at IS NULL AND NEW.unlocked_at IS NOT NULL)
EXECUTE FUNCTION app.emit_achievement('achievement.unlocked');

CREATE TRIGGER emit_achievement_unlocked_at_once
AFTER INSERT ON achievement_progress
FOR EACH ROW WHEN (NEW.unlocked_at IS NOT NULL)
EXECUTE FUNCTION app.emit_achievement('achievement.unlocked');

CREATE TRIGGER emit_import_uploaded
AFTER INSERT ON import_jobs
FOR EACH ROW
EXECUTE FUNCTION app.emit_row(
  'import.progressed', 'import', 'id', 'user_id',
  'import_id=id', 'format', 'dry_run', 'status', 'items_total', 'items_processed',
  'items_created', 'items_known', 'items_skipped', 'items_failed', 'items_undone', 'items_kept',
  'error'
);

-- Each batch is an event, and each event is what the next batch waits for.
CREATE TRIGGER emit_import_progressed
AFTER UPDATE OF status, items_processed, items_undone, items_kept ON import_jobs
FOR EACH ROW
WHEN (
  (OLD.status, OLD.items_processed, OLD.items_undone, OLD.items_kept)
  IS DISTINCT FROM (NEW.status, NEW.items_processed, NEW.items_undone, NEW.items_kept)
)
EXECUTE FUNCTION app.emit_row(
  'import.progressed', 'import', 'id', 'user_id',
  'import_id=id', 'format', 'dry_run', 'status', 'items_total', 'items_processed',
  'items_created', 'items_known', 'items_skipped', 'items_failed', 'items_undone', 'items_kept',
  'error'
);
