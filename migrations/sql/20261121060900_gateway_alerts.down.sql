-- Filled by the commits that follow.
SELECT 1;
