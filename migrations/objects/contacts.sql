-- Address books: what triggers keep of contacts, and the search; see functions.sql.

SET LOCAL ROLE ping_definer;

-- A text without cases, accents, forms of the same letter and the marks that turn, join or part
-- writing, which are copied along unseen; whatever the database's collation. As core/plain_text.py.
CREATE OR REPLACE FUNCTION app.plain_text(raw text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT translate(
    lower(
      regexp_replace(
        normalize(raw, NFKD),
        '[\u00ad\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
      ) COLLATE pg_catalog.pg_c_utf8
    ),
    'ς', 'σ' -- at the end of a word, but not where it was in capitals
  )
$$;

-- A plain text as it is typed where there is no such key: Łukasz by lukasz, Strauß by strauss.
CREATE OR REPLACE FUNCTION app.typed_text(raw text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT translate(
    replace(replace(replace(replace(p.plain, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
    'łøđðħŧı', 'loddhti'
  )
  FROM app.plain_text(raw) AS p (plain)
$$;

-- The words of a text in the order of the alphabet, each once.
CREATE OR REPLACE FUNCTION app.plain_words(raw text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = '' AS $$
  SELECT ARRAY(
    SELECT DISTINCT t.word
    FROM regexp_split_to_table(
      app.plain_text(raw) COLLATE pg_catalog.pg_c_utf8, '[^[:alnum:]]+'
    ) AS t (word)
    WHERE t.word <> ''
    ORDER BY t.word
  )
$$;

-- Trigger: what a contact is found and listed by.
CREATE OR REPLACE FUNCTION app.fill_contact() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  typed text := app.typed_text(
    concat_ws(' ', NEW.full_name, NEW.company, NEW.job_title, array_to_string(NEW.tags, ' '))
  );
  joined text := translate(typed, '''’-', ''); -- O'Brien by obrien
BEGIN
  NEW.name_plain := app.plain_text(NEW.full_name);
  NEW.name_words := array_to_string(app.plain_words(NEW.full_name), ' ');
  NEW.company_plain := app.plain_text(NEW.company);
  -- Each word begins with whose it is: the index is one of all users, and nobody's Anna costs others.
  NEW.search := array_to_tsvector(ARRAY(
    SELECT right(NEW.user_id::text, 8) || w.word
    FROM unnest(app.plain_words(concat_ws(' ', typed, nullif(joined, typed)))) AS w (word)
  ));
  RETURN NEW;
END
$$;

-- The actor's contacts with words that begin like those of a text, after a contact in the list, the
-- newest first. `@@` is not leakproof: under policies its index would not be used. Planned for each
-- text, as many contacts are best walked through in order, and few are best sorted.
CREATE OR REPLACE FUNCTION app.search_contacts(
  asked text, is_archived boolean, before uuid, size int
)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = '' AS $$
DECLARE
  me uuid := app.user_id();
  words text := (
    SELECT string_agg(format('%L:*', right(me::text, 8) || w.word), ' & ')
    FROM unnest(app.plain_words(app.typed_text(asked))) AS w (word)
  );
BEGIN
  IF me IS NULL OR words IS NULL THEN
    RETURN;
  END IF;
  -- BETWEEN, so that the order is one of the user's own index: the newest of all users would be
  -- the planner's choice for a text that many have.
  RETURN QUERY EXECUTE format(
    'SELECT c.id
     FROM public.contacts AS c
     WHERE c.user_id BETWEEN $1 AND $1
       AND c.search @@ %L::tsquery
       AND NOT c.is_self
       AND c.merged_into_id IS NULL
       AND (c.archived_at IS NOT NULL) = $2
       AND ($3 IS NULL OR c.id < $3)
     ORDER BY c.user_id DESC, c.id DESC
     LIMIT $4',
    words
  ) USING me, is_archived, before, size;
END
$$;

-- Gives rows of the actor that name one contact to another one, for a merge or its undo: those with
-- keys in `those`, or all. What would then be there twice stays. Returns the keys of those that moved.
CREATE OR REPLACE FUNCTION app.move_contact_rows(
  relation text, contact_column text, keys text[], from_id uuid, to_id uuid, those jsonb
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  key text := (
    SELECT format('jsonb_build_array(%s)', string_agg(format('t.%I', k), ', '))
    FROM unnest(keys) AS k
  );
  chosen text := format(
    'public.%1$I AS t
     WHERE t.user_id = app.user_id() AND t.%2$I = $1
     AND ($3 IS NULL OR %3$s IN (SELECT e.value FROM jsonb_array_elements($3) AS e))',
    relation, contact_column, key
  );
  change text := format(
    'WITH moved AS (
       UPDATE public.%1$I AS t SET %2$I = $2
       WHERE t.user_id = app.user_id() AND t.%2$I = $1
       AND ($3 IS NULL OR %3$s IN (SELECT e.value FROM jsonb_array_elements($3) AS e))
       RETURNING %3$s AS key
     )
     SELECT coalesce(jsonb_agg(m.key), ''[]'') FROM moved AS m',
    relation, contact_column, key
  );
  moved jsonb;
  one jsonb;
  done jsonb := '[]';
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS c
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
    WHERE c.contype = 'f' AND c.confrelid = 'public.contacts'::regclass
      AND c.conrelid = to_regclass(format('public.%I', relation)) AND a.attname = contact_column
      AND a.attname <> 'user_id'
  ) THEN
    RAISE EXCEPTION 'no table of contacts';
  END IF;
  BEGIN
    EXECUTE change INTO moved USING from_id, to_id, those;
    RETURN moved;
  EXCEPTION WHEN unique_violation THEN
    NULL; -- one by one, then: few have as many rows as that would be slow for
  END;
  FOR one IN EXECUTE format('SELECT %s FROM %s', key, chosen) USING from_id, to_id, those LOOP
    BEGIN
      EXECUTE change INTO moved USING from_id, to_id, jsonb_build_array(one);
      done := done || moved;
    EXCEPTION WHEN unique_violation THEN
      NULL;
    END;
  END LOOP;
  RETURN done;
END
$$;

-- Trigger: whoever has an account stands in their own address book.
CREATE OR REPLACE FUNCTION app.create_self_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.contacts (user_id, full_name, is_self) VALUES (NEW.id, NEW.full_name, true);
  RETURN NULL;
END
$$;

-- Trigger: who is called otherwise is so in their own address book, unless they said something else.
CREATE OR REPLACE FUNCTION app.rename_self_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.contacts AS c
  SET full_name = NEW.full_name
  WHERE c.user_id = NEW.id AND c.is_self AND c.full_name = OLD.full_name;
  RETURN NULL;
END
$$;

-- Trigger: where a contact works has changed, from something that was known.
CREATE OR REPLACE FUNCTION app.emit_job_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM app.emit(
    TG_ARGV[0], NEW.user_id, 'contact', NEW.id,
    jsonb_build_object(
      'contact_id', NEW.id, 'full_name', NEW.full_name,
      'former_company', OLD.company, 'former_job_title', OLD.job_title,
      'company', NEW.company, 'job_title', NEW.job_title
    )
  );
  RETURN NULL;
END
$$;

-- Trigger for each statement: other addresses make another contact, unless it is just being made.
CREATE OR REPLACE FUNCTION app.emit_methods_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- Sealed anew by another key they are the same to everybody.
  IF current_setting('app.endpoint', true) = 'keys.reseal' THEN
    RETURN NULL;
  END IF;
  PERFORM app.emit(
    TG_ARGV[0], c.user_id, 'contact', c.id,
    jsonb_build_object(
      'contact_id', c.id, 'full_name', c.full_name, 'company', c.company,
      'job_title', c.job_title, 'tags', c.tags
    )
  )
  FROM public.contacts AS c
  WHERE c.id IN (SELECT n.contact_id FROM new_rows AS n)
    AND c.created_at <> now()
    AND c.merged_into_id IS NULL;
  RETURN NULL;
END
$$;

-- Says of contacts of the actor who they are here, the n-th is the n-th of `people`, where both sides
-- let themselves be found until the commit: who withdraws waits, and is unlinked after it. Returns
-- the contacts that are linked now.
CREATE OR REPLACE FUNCTION app.link_matched(contacts uuid[], people uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  me uuid := app.user_id();
  held uuid[] := app.hold_consents(me || people, 'contact_matching');
BEGIN
  IF me IS NULL OR NOT me = ANY (held) THEN
    RETURN;
  END IF;
  RETURN QUERY
  UPDATE public.contacts AS c
  SET linked_user_id = m.person, linked_by = 'match'
  FROM unnest(contacts, people) AS m (contact, person)
  WHERE c.user_id = me AND c.id = m.contact AND c.linked_user_id IS NULL AND NOT c.is_self
    AND c.merged_into_id IS NULL
    AND m.person = ANY (held) AND m.person <> me AND NOT app.is_blocked(me, m.person)
  RETURNING c.id;
END
$$;

-- Trigger: whoever blocks is in no link with the other any more, but for that of a touch in the other's
-- address book: it would tell that they are blocked, where one by matching may be gone for many reasons.
CREATE OR REPLACE FUNCTION app.unlink_blocked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.contacts
  SET linked_user_id = NULL
  WHERE (user_id = NEW.user_id AND linked_user_id = NEW.blocked_id)
    OR (user_id = NEW.blocked_id AND linked_user_id = NEW.user_id AND linked_by = 'match');
  RETURN NULL;
END
$$;

-- Trigger: whoever has given up an address, or lost it to somebody else, is found by it no more. By which
-- one they were found is not kept: those who have another one of theirs find them again by that.
CREATE OR REPLACE FUNCTION app.unlink_unreachable() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.contacts
  SET linked_user_id = NULL
  WHERE linked_user_id = OLD.user_id AND linked_by = 'match';
  RETURN NULL;
END
$$;

-- Trigger: what is linked with nobody is linked by nothing, also when that user is erased.
CREATE OR REPLACE FUNCTION app.fill_linked_by() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  NEW.linked_by := NULL;
  RETURN NEW;
END
$$;

SET LOCAL ROLE ping_owner;
