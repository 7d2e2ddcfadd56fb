-- When the person last proved who they are, which an exchange of refresh tokens does not. Null where
-- a process that does not know the column has written the row: at the sign-in.
ALTER TABLE sessions ADD COLUMN authenticated_at timestamptz;
