-- Answers that are kept are sealed, each to its row. Those of before are forgotten, and who asks again
-- is told to wait: what was done once is not done twice.
ALTER TABLE idempotency_keys ADD COLUMN id uuid NOT NULL DEFAULT uuidv7() UNIQUE;
UPDATE idempotency_keys
SET status = 'pending', response_status = NULL, response_headers = NULL, response_body = NULL;
