-- Words of interactions as app.plain_text has them by now: with one small sigma, and without the
-- hyphens that show only where a line ends.
ALTER TABLE interactions ALTER COLUMN tsv SET EXPRESSION AS (
  setweight(
    to_tsvector(
      'simple',
      left(
        translate(
          regexp_replace(
            lower(normalize(coalesce(subject, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u00ad\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          'ς', 'σ'
        ),
        100000
      )
    ),
    'A'
  )
  || setweight(
    to_tsvector(
      'simple',
      left(
        translate(
          regexp_replace(
            lower(normalize(coalesce(summary, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u00ad\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          'ς', 'σ'
        ),
        100000
      )
    ),
    'B'
  )
  || setweight(
    to_tsvector(
      'simple',
      left(
        translate(
          regexp_replace(
            lower(normalize(coalesce(content, ''), NFKD) COLLATE pg_catalog.pg_c_utf8),
            '[\u00ad\u0300-\u036f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]', '', 'g'
          ),
          'ς', 'σ'
        ),
        100000
      )
    ),
    'C'
  )
);
