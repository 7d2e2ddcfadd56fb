-- Feature flags, as every process keeps them.

SET LOCAL ROLE ping_definer;

-- The same for everybody, so it asks for nobody: a process keeps what one user's transaction reads.
CREATE OR REPLACE FUNCTION app.read_flags()
RETURNS TABLE (
  key text, enabled boolean, percentage smallint, cohorts text[], tiers text[], roles text[]
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT
    f.key, f.enabled, f.percentage, f.cohorts,
    ARRAY(
      SELECT DISTINCT t.tier
      FROM public.cohorts AS c CROSS JOIN unnest(c.tiers) AS t (tier)
      WHERE c.name = ANY (f.cohorts)
      ORDER BY t.tier
    ),
    ARRAY(
      SELECT DISTINCT r.role
      FROM public.cohorts AS c CROSS JOIN unnest(c.roles) AS r (role)
      WHERE c.name = ANY (f.cohorts)
      ORDER BY r.role
    )
  FROM public.feature_flags AS f
  ORDER BY f.key
$$;

-- Trigger: somebody who is erased is told of nothing.
CREATE OR REPLACE FUNCTION app.emit_cohort_left() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF EXISTS (SELECT FROM public.users AS u WHERE u.id = OLD.user_id) THEN
    PERFORM app.emit(TG_ARGV[0], OLD.user_id, 'user', OLD.user_id, '{}');
  END IF;
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
