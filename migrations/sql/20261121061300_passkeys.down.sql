DROP TABLE passkey_credentials;
-- Nobody could sign in with them.
DELETE FROM user_logins WHERE provider = 'passkey';
CREATE INDEX user_logins_user_id_idx ON user_logins (user_id, id);
DROP INDEX user_logins_user_id_id_key;
