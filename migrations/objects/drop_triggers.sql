-- Before the triggers are made anew, so that one that left the files is gone, and before a step down,
-- since triggers name columns of the newer schema.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT tgname, tgrelid::regclass AS relation
    FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND tgparentid = 0 AND relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
  END LOOP;
END
$$;
