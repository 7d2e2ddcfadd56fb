DELETE FROM consents WHERE purpose = 'introductions';
DELETE FROM consent_history WHERE purpose = 'introductions';
UPDATE api_keys AS k
SET scopes = kept.scopes, revoked_at = CASE WHEN kept.is_left THEN k.revoked_at ELSE coalesce(k.revoked_at, now()) END
FROM (
  SELECT a.id, cardinality(l.scopes) > 0 AS is_left,
    CASE WHEN cardinality(l.scopes) > 0 THEN l.scopes ELSE '{account:read}' END AS scopes
  FROM api_keys AS a
  CROSS JOIN LATERAL (
    SELECT ARRAY(
      SELECT s FROM unnest(a.scopes) AS s
      WHERE s !~ '^(goals|reminders|insights|achievements):'
    ) AS scopes
  ) AS l
  WHERE a.scopes && ARRAY[
    'goals:read', 'goals:write', 'reminders:read', 'reminders:write', 'insights:read',
    'insights:write', 'achievements:read'
  ]
) AS kept
WHERE k.id = kept.id;
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT k.conrelid::regclass AS relation, k.conname, pg_get_constraintdef(k.oid) AS rule
    FROM pg_constraint AS k
    WHERE k.connamespace = 'public'::regnamespace
      AND k.conname IN (
        'api_keys_scopes_check', 'consents_purpose_check', 'consent_history_purpose_check'
      )
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, c.conname);
    EXECUTE format(
      'ALTER TABLE %s ADD CONSTRAINT %I %s', c.relation, c.conname,
      regexp_replace(
        c.rule,
        '''(introductions|(goals|reminders|insights|achievements):(read|write))''::text, ', '', 'g'
      )
    );
  END LOOP;
END
$$;
DROP TABLE
  achievement_increments, achievement_progress, achievements, streaks, insight_weeks, evidence,
  insight_contacts, insights, reminders, graph_changes, path_searches, connection_path_steps,
  connection_paths, goal_tag_links, goal_tags, connection_goals;
