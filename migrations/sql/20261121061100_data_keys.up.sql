-- Keys that seal columns, of which the database knows the wrapped form only. The number that a
-- sealed value begins with is the id, so an id is never used twice.
CREATE TABLE data_keys (
  id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  scope text NOT NULL CHECK (length(scope) BETWEEN 1 AND 40), -- a group of columns
  number int NOT NULL CHECK (number > 0), -- within its scope, in the order of their making
  wrapped bytea,
  wrapped_by text, -- which key-encryption key: `ring:2`, `vault:pinghub:1`
  seals_from timestamptz NOT NULL, -- announced before, so that every process can open
  retired_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (scope, number),
  CHECK (num_nulls(wrapped, wrapped_by) = CASE WHEN retired_at IS NULL THEN 0 ELSE 2 END)
);
