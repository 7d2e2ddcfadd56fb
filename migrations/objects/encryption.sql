-- Passing over sealed values; see functions.sql. Which columns hold them is written down once, in
-- core/sealed_columns.py, so names come as arguments. These run with the rights of their caller.

SET LOCAL ROLE ping_definer;

-- Values after a row that do not begin with `mark`, in the order of their rows.
CREATE OR REPLACE FUNCTION app.find_sealed(
  relation text, sealed_column text, row_column text, after uuid, mark bytea, size int
)
RETURNS TABLE (row_id uuid, sealed bytea)
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT t.%2$I, t.%3$I FROM public.%1$I AS t
     WHERE t.%2$I > $1 AND t.%3$I IS NOT NULL
     AND substring(t.%3$I FROM 1 FOR length($2)) IS DISTINCT FROM $2
     ORDER BY t.%2$I
     LIMIT $3',
    relation, row_column, sealed_column
  ) USING after, mark, size;
END
$$;

-- Compare and set: what somebody has written meanwhile stays. Returns how many were replaced.
CREATE OR REPLACE FUNCTION app.reseal(
  relation text, sealed_column text, row_column text, ids uuid[], olds bytea[], freshs bytea[]
)
RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  replaced bigint;
BEGIN
  EXECUTE format(
    'UPDATE public.%1$I AS t SET %3$I = f.fresh
     FROM unnest($1, $2, $3) AS f (id, old, fresh)
     WHERE t.%2$I = f.id AND t.%3$I = f.old',
    relation, row_column, sealed_column
  ) USING ids, olds, freshs;
  GET DIAGNOSTICS replaced = ROW_COUNT;
  RETURN replaced;
END
$$;

-- How many values begin with which mark: version 1 and a byte, version 2 and four (core/crypto.py).
CREATE OR REPLACE FUNCTION app.count_sealed(relation text, sealed_column text)
RETURNS TABLE (mark bytea, amount bigint)
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT m.mark, count(*)
     FROM public.%1$I AS t
     CROSS JOIN LATERAL (
       SELECT CASE
         WHEN length(t.%2$I) < 5 THEN NULL
         WHEN get_byte(t.%2$I, 0) = 1 THEN substring(t.%2$I FROM 1 FOR 2)
         WHEN get_byte(t.%2$I, 0) = 2 THEN substring(t.%2$I FROM 1 FOR 5)
       END AS mark
     ) AS m
     WHERE t.%2$I IS NOT NULL
     GROUP BY m.mark',
    relation, sealed_column
  );
END
$$;

-- How many blind indexes are under which key: the empty mark is that of 32 bytes without one, a
-- mark is version 3 and four bytes, NULL stands for what is no index (core/blind_indexes.py).
CREATE OR REPLACE FUNCTION app.count_indexes(relation text, indexed_column text)
RETURNS TABLE (mark bytea, amount bigint)
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT m.mark, count(*)
     FROM public.%1$I AS t
     CROSS JOIN LATERAL (
       SELECT CASE
         WHEN length(t.%2$I) = 32 THEN ''''::bytea
         WHEN length(t.%2$I) > 5 AND get_byte(t.%2$I, 0) = 3 THEN substring(t.%2$I FROM 1 FOR 5)
       END AS mark
     ) AS m
     WHERE t.%2$I IS NOT NULL
     GROUP BY m.mark',
    relation, indexed_column
  );
END
$$;

SET LOCAL ROLE ping_owner;
