-- Functions of claims; see functions.sql.

SET LOCAL ROLE ping_definer;

-- A code alone is no claim any more.
DROP FUNCTION IF EXISTS app.claim_ring(bytea, text);

SET LOCAL ROLE ping_owner;
