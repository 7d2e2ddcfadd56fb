DROP TABLE idempotency_keys, profiles, sessions, users;
