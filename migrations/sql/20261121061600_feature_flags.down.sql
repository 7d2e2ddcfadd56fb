DROP FUNCTION IF EXISTS app.read_flags();
DROP FUNCTION IF EXISTS app.emit_cohort_left() CASCADE;
DROP TABLE feature_flags, cohort_members, cohorts;
DELETE FROM events WHERE user_id IS NULL;
ALTER TABLE events ALTER COLUMN user_id SET NOT NULL;
