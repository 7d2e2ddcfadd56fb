-- Which goal an insight serves: it goes with it.
ALTER TABLE insights
ADD COLUMN goal_id uuid,
ADD FOREIGN KEY (user_id, goal_id) REFERENCES connection_goals (user_id, id) ON DELETE CASCADE;
CREATE INDEX insights_goal_idx ON insights (user_id, goal_id) WHERE goal_id IS NOT NULL;
