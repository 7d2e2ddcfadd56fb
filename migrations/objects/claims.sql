-- Functions of claims; see functions.sql.

SET LOCAL ROLE ping_definer;

SET LOCAL ROLE ping_owner;
