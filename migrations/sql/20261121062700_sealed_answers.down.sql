UPDATE idempotency_keys
SET status = 'pending', response_status = NULL, response_headers = NULL, response_body = NULL;
ALTER TABLE idempotency_keys DROP COLUMN id;
