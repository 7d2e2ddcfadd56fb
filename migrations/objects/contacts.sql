-- Address books: what triggers keep of contacts, and the search; see functions.sql.

SET LOCAL ROLE ping_owner;

-- A text without cases, accents and forms of the same letter, whatever the database's collation.
CREATE OR REPLACE FUNCTION app.plain_text(raw text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT lower(
    regexp_replace(normalize(coalesce(raw, ''), NFKD), '[\u0300-\u036f]', '', 'g')
    COLLATE pg_catalog.pg_c_utf8
  )
$$;

-- The words of a name in the order of the alphabet: "Lovelace, Ada" is the same name as "Ada Lovelace".
CREATE OR REPLACE FUNCTION app.name_key(raw text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT coalesce(string_agg(w.word, ' ' ORDER BY w.word), '')
  FROM regexp_split_to_table(
    app.plain_text(raw) COLLATE pg_catalog.pg_c_utf8, '[^[:alnum:]]+'
  ) AS w (word)
  WHERE w.word <> ''
$$;

-- Trigger: what a contact is found by.
CREATE OR REPLACE FUNCTION app.fill_contact() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  NEW.name_key := app.name_key(NEW.full_name);
  NEW.search := to_tsvector(
    'pg_catalog.simple',
    app.plain_text(
      concat_ws(' ', NEW.full_name, NEW.company, NEW.job_title, array_to_string(NEW.tags, ' '))
    )
  );
  RETURN NEW;
END
$$;

SET LOCAL ROLE ping_definer;

-- Trigger: whoever has an account stands in their own address book.
CREATE OR REPLACE FUNCTION app.create_self_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.contacts (user_id, full_name, is_self) VALUES (NEW.id, NEW.full_name, true);
  RETURN NULL;
END
$$;

SET LOCAL ROLE ping_owner;
