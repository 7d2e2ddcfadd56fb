-- Address books. A user's own and nobody else's: what stands here about a person, that person did not
-- write. Contacts leave it only with the account: they are archived, or merged into another one.
CREATE TABLE contacts (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  full_name text NOT NULL CHECK (length(full_name) BETWEEN 1 AND 200),
  first_name text CHECK (length(first_name) BETWEEN 1 AND 100),
  last_name text CHECK (length(last_name) BETWEEN 1 AND 100),
  company text CHECK (length(company) BETWEEN 1 AND 200),
  job_title text CHECK (length(job_title) BETWEEN 1 AND 200),
  linkedin_url text CHECK (length(linkedin_url) BETWEEN 1 AND 500),
  avatar_url text CHECK (length(avatar_url) BETWEEN 1 AND 2000),
  location text CHECK (length(location) BETWEEN 1 AND 200),
  bio text CHECK (length(bio) BETWEEN 1 AND 4000),
  notes bytea, -- sealed
  birthday date CHECK (birthday >= DATE '1604-01-01'), -- of the year 1604: which year is not known
  context jsonb NOT NULL DEFAULT '{}', -- Struct Context
  source text NOT NULL DEFAULT 'manual' CHECK (
    source IN (
      'calendar', 'email', 'gmail', 'import', 'linkedin', 'manual', 'outlook', 'phone', 'ring'
    )
  ),
  strength double precision NOT NULL DEFAULT 0 CHECK (strength BETWEEN 0 AND 1),
  last_interaction_at timestamptz,
  frequency text CHECK (frequency IN ('daily', 'weekly', 'monthly', 'quarterly', 'rarely')),
  tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
  is_self boolean NOT NULL DEFAULT false,
  linked_user_id uuid REFERENCES users ON DELETE SET NULL, -- who the contact is here
  linked_by text CHECK (linked_by IN ('match', 'ring')), -- consent of both to be matched, or a touch
  archived_at timestamptz,
  merged_into_id uuid, -- what was this contact's is the other one's; the row waits for an undo
  -- Kept by a trigger (app.fill_contact): compared as they are, which RLS lets an index do.
  name_plain text COLLATE pg_c_utf8 NOT NULL DEFAULT '', -- in lower case, without accents
  name_words text COLLATE pg_c_utf8 NOT NULL DEFAULT '', -- its words in the alphabet's order
  company_plain text COLLATE pg_c_utf8,
  search tsvector NOT NULL DEFAULT '', -- words of name, company, job title and tags, with whose they are
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id), -- what foreign keys of the tenant name
  FOREIGN KEY (user_id, merged_into_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (merged_into_id),
  CONSTRAINT contacts_self_check
  CHECK (NOT is_self OR (archived_at IS NULL AND merged_into_id IS NULL AND linked_user_id IS NULL)),
  CONSTRAINT contacts_merged_check
  CHECK (merged_into_id <> id AND (merged_into_id IS NULL OR archived_at IS NOT NULL))
);
CREATE UNIQUE INDEX contacts_self_key ON contacts (user_id) WHERE is_self;
CREATE INDEX contacts_strength_idx ON contacts (user_id, strength DESC, id DESC);
-- Those without an interaction stand at the end, and the position in the list is never NULL. Not by
-- `coalesce`, which no index serves under policies: PostgreSQL does not know that it leaks nothing.
CREATE INDEX contacts_last_interaction_idx
ON contacts (
  user_id,
  (
    CASE WHEN last_interaction_at IS NULL THEN timestamptz '1970-01-01 00:00:00+00'
    ELSE last_interaction_at END
  ) DESC,
  id DESC
);
CREATE INDEX contacts_name_plain_idx ON contacts (user_id, name_plain, id);
CREATE INDEX contacts_name_words_idx ON contacts (user_id, name_words);
CREATE INDEX contacts_company_plain_idx
ON contacts (user_id, company_plain, id) WHERE company_plain IS NOT NULL;
CREATE INDEX contacts_merged_into_idx
ON contacts (user_id, merged_into_id) WHERE merged_into_id IS NOT NULL;
CREATE INDEX contacts_linked_user_id_idx ON contacts (linked_user_id) WHERE linked_user_id IS NOT NULL;
CREATE INDEX contacts_tags_idx ON contacts USING gin (tags);
CREATE INDEX contacts_search_idx ON contacts USING gin (search);

-- How a contact is reached. One address may be that of several contacts: a household's telephone.
CREATE TABLE contact_methods (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('email', 'phone', 'linkedin', 'twitter', 'url')),
  value bytea NOT NULL, -- sealed, as it was written
  value_hash bytea NOT NULL, -- blind index of the normal form, and of the user
  label text CHECK (length(label) BETWEEN 1 AND 50),
  is_primary boolean NOT NULL DEFAULT false,
  source text NOT NULL DEFAULT 'manual' CHECK (
    source IN (
      'calendar', 'email', 'gmail', 'import', 'linkedin', 'manual', 'outlook', 'phone', 'ring'
    )
  ),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, contact_id, kind, value_hash),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_methods_value_hash_idx ON contact_methods (user_id, value_hash, kind);
CREATE UNIQUE INDEX contact_methods_primary_key
ON contact_methods (user_id, contact_id, kind) WHERE is_primary;

-- What a contact cares about, as far as interactions show it; what nothing reinforces fades.
CREATE TABLE interests (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid NOT NULL,
  category text NOT NULL CHECK (length(category) BETWEEN 1 AND 50),
  topic text NOT NULL CHECK (length(topic) BETWEEN 1 AND 100),
  confidence double precision NOT NULL DEFAULT 1 CHECK (confidence BETWEEN 0 AND 1),
  evidence_count int NOT NULL DEFAULT 1 CHECK (evidence_count >= 1),
  first_detected_at timestamptz NOT NULL DEFAULT now(),
  last_reinforced_at timestamptz NOT NULL DEFAULT now(),
  decayed_at timestamptz NOT NULL DEFAULT now(), -- until when `confidence` has faded
  decay_factor double precision NOT NULL DEFAULT 0.9
  CHECK (decay_factor > 0 AND decay_factor <= 1), -- what 30 days leave of it
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, contact_id, category, topic),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX interests_category_idx ON interests (user_id, category, confidence DESC, id);
CREATE INDEX interests_decayed_at_idx ON interests (decayed_at, id);

-- Who of one's contacts knows whom: stored once, read from both ends.
CREATE TABLE contact_links (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_a_id uuid NOT NULL,
  contact_b_id uuid NOT NULL,
  kind text NOT NULL CHECK (
    kind IN ('colleague', 'friend', 'client', 'vendor', 'family', 'other')
  ),
  strength double precision NOT NULL DEFAULT 0.5 CHECK (strength BETWEEN 0 AND 1),
  shared_interactions int NOT NULL DEFAULT 0 CHECK (shared_interactions >= 0),
  detected_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, contact_a_id, contact_b_id),
  CHECK (contact_a_id < contact_b_id),
  FOREIGN KEY (user_id, contact_a_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_b_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_links_b_idx ON contact_links (user_id, contact_b_id, contact_a_id);

-- What was merged into what, and what of it moved: enough to take it back, and no copy of anything.
CREATE TABLE contact_merges (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  kept_id uuid NOT NULL,
  merged_id uuid NOT NULL,
  record jsonb NOT NULL, -- Struct MergeRecord
  undone_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (user_id, kept_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, merged_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_merges_id_idx ON contact_merges (user_id, id DESC);
CREATE INDEX contact_merges_kept_id_idx ON contact_merges (user_id, kept_id);
CREATE INDEX contact_merges_merged_id_idx ON contact_merges (user_id, merged_id);
CREATE UNIQUE INDEX contact_merges_open_key
ON contact_merges (user_id, merged_id) WHERE undone_at IS NULL;

-- Suggestions to merge that the user does not want to see again.
CREATE TABLE contact_distinctions (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_a_id uuid NOT NULL,
  contact_b_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, contact_a_id, contact_b_id),
  CHECK (contact_a_id < contact_b_id),
  FOREIGN KEY (user_id, contact_a_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_b_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_distinctions_b_idx ON contact_distinctions (user_id, contact_b_id);

-- Keys of backends may be let into the address book.
ALTER TABLE api_keys
  DROP CONSTRAINT api_keys_scopes_check,
  ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0
    AND scopes <@ ARRAY[
      'account:read', 'account:write', 'cards:read', 'cards:write', 'contacts:read',
      'contacts:write', 'friends:read', 'friends:write', 'gateways:read', 'gateways:write',
      'messages:read', 'messages:write', 'realtime:read', 'rings:read', 'rings:write', 'taps:read',
      'touches:read', 'touches:write'
    ]::text[]
  );

-- The self contact of everybody who is here already, with what the trigger gives to later ones; nobody
-- searches for it.
INSERT INTO contacts (user_id, full_name, is_self, name_plain, name_words)
SELECT u.id, u.full_name, true, p.plain, array_to_string(w.words, ' ')
FROM users AS u
CROSS JOIN LATERAL (
  SELECT lower(
    regexp_replace(normalize(u.full_name, NFKD), '[\u0300-\u036f]', '', 'g') COLLATE pg_c_utf8
  )
) AS p (plain)
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT t.word
    FROM regexp_split_to_table(p.plain COLLATE pg_c_utf8, '[^[:alnum:]]+') AS t (word)
    WHERE t.word <> ''
    ORDER BY t.word
  )
) AS w (words)
WHERE u.kind = 'person';
