-- Consents where data is used; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Whether somebody lets their data be used for a purpose. With the rights of its caller: a user's
-- transaction knows of no other's consent. Functions of ping_definer know of all.
CREATE OR REPLACE FUNCTION app.allows(owner uuid, purpose text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT EXISTS (
    SELECT FROM public.consents AS c
    WHERE c.user_id = owner AND c.purpose = allows.purpose AND c.granted
  )
$$;

-- Which of these let it, until the commit: whoever withdraws waits for this transaction, and what it
-- has written is there when the withdrawal is followed up.
CREATE OR REPLACE FUNCTION app.hold_consents(owners uuid[], purpose text) RETURNS uuid[]
LANGUAGE sql SET search_path = '' AS $$
  SELECT ARRAY(
    SELECT c.user_id
    FROM public.consents AS c
    WHERE c.user_id = ANY (owners) AND c.purpose = hold_consents.purpose AND c.granted
    ORDER BY c.user_id -- so that two batches cannot wait for each other
    FOR SHARE
  )
$$;

-- Trigger: what was decided stays on record.
CREATE OR REPLACE FUNCTION app.keep_consent() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.consent_history (
    user_id, purpose, granted, text_version, source, decided_at
  )
  VALUES (
    NEW.user_id, NEW.purpose, NEW.granted, NEW.text_version, NEW.source,
    CASE WHEN NEW.granted THEN NEW.granted_at ELSE NEW.withdrawn_at END
  );
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
