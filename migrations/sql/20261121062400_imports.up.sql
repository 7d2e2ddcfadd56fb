-- Files that people bring in: one job each, moved on batch by batch, and what it did, to undo it.
CREATE TABLE import_jobs (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  format text NOT NULL CHECK (
    format IN (
      'calendar', 'calls_xml', 'csv', 'google_csv', 'linkedin_csv', 'mail', 'outlook_csv',
      'phone_json', 'vcard'
    )
  ),
  file_name text CHECK (length(file_name) BETWEEN 1 AND 200),
  file_bytes int NOT NULL CHECK (file_bytes > 0),
  mapping jsonb NOT NULL DEFAULT '{}', -- of a CSV file: column → field
  dry_run boolean NOT NULL DEFAULT false, -- checked only, until the user starts it
  status text NOT NULL DEFAULT 'uploaded' CHECK (
    status IN (
      'uploaded', 'ready', 'running', 'completed', 'failed', 'cancelled', 'undoing', 'undone'
    )
  ),
  error text CHECK (length(error) BETWEEN 1 AND 100), -- the code of why it failed
  encoding text CHECK (length(encoding) BETWEEN 1 AND 50), -- as which the file was read
  remarks text[] NOT NULL DEFAULT '{}' CHECK (
    remarks <@ ARRAY['columns_ignored', 'encoding_guessed', 'series_once', 'time_zone_unknown']
  ),
  ignored_columns text[] NOT NULL DEFAULT '{}' CHECK (cardinality(ignored_columns) <= 100),
  items_total int CHECK (items_total >= 0), -- NULL until the file is read
  items_processed int NOT NULL DEFAULT 0 CHECK (items_processed >= 0),
  items_created int NOT NULL DEFAULT 0 CHECK (items_created >= 0),
  items_known int NOT NULL DEFAULT 0 CHECK (items_known >= 0),
  items_skipped int NOT NULL DEFAULT 0 CHECK (items_skipped >= 0),
  items_failed int NOT NULL DEFAULT 0 CHECK (items_failed >= 0),
  items_undone int NOT NULL DEFAULT 0 CHECK (items_undone >= 0),
  items_kept int NOT NULL DEFAULT 0 CHECK (items_kept >= 0),
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id)
);
CREATE INDEX import_jobs_id_idx ON import_jobs (user_id, id DESC);
CREATE INDEX import_jobs_open_idx ON import_jobs (updated_at, id)
WHERE status IN ('uploaded', 'ready', 'running', 'undoing');

-- A file until it is read, in pieces that a rotation of keys can take one by one.
CREATE TABLE import_chunks (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  import_id uuid NOT NULL,
  position int NOT NULL CHECK (position >= 0),
  content bytea NOT NULL, -- sealed
  UNIQUE (user_id, import_id, position),
  FOREIGN KEY (user_id, import_id) REFERENCES import_jobs (user_id, id) ON DELETE CASCADE
);

-- What became of each entry. The entry itself goes as soon as it is brought in.
CREATE TABLE import_rows (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  import_id uuid NOT NULL,
  position int NOT NULL CHECK (position >= 1), -- in the file, from 1
  kind text CHECK (kind IN ('contact', 'interaction')), -- NULL: what could not be read
  status text NOT NULL CHECK (
    status IN ('pending', 'created', 'known', 'skipped', 'failed', 'undone', 'kept')
  ),
  problems jsonb NOT NULL DEFAULT '[]', -- codes and names of fields, never what stood there
  payload bytea, -- sealed; NULL once it is brought in, or will not be
  content_hash bytea, -- blind index of the whole entry, and of the user
  contact_id uuid,
  interaction_id uuid,
  fingerprint bytea, -- of the contact as it was made: app.contact_fingerprint
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, import_id, position),
  FOREIGN KEY (user_id, import_id) REFERENCES import_jobs (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id),
  FOREIGN KEY (user_id, interaction_id) REFERENCES interactions (user_id, id)
  ON DELETE SET NULL (interaction_id)
);
CREATE INDEX import_rows_content_hash_idx ON import_rows (user_id, content_hash);
CREATE INDEX import_rows_pending_idx ON import_rows (user_id, import_id, position)
WHERE status = 'pending';
CREATE INDEX import_rows_status_idx ON import_rows (user_id, import_id, status, position);
CREATE INDEX import_rows_contact_idx
ON import_rows (user_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX import_rows_interaction_idx
ON import_rows (user_id, interaction_id) WHERE interaction_id IS NOT NULL;
