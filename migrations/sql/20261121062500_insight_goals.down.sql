ALTER TABLE insights DROP COLUMN goal_id;
