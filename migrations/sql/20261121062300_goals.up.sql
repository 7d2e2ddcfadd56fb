-- What people want of their contacts: goals, ways to somebody, reminders, insights, achievements.
CREATE TABLE connection_goals (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid, -- whom it is about; NULL: nobody yet
  kind text NOT NULL CHECK (
    kind IN ('job', 'cofounder', 'friend', 'romantic', 'strategic', 'hiring', 'mentor')
  ),
  intention text NOT NULL CHECK (length(intention) BETWEEN 1 AND 1000),
  timeline text NOT NULL DEFAULT 'evergreen' CHECK (
    timeline IN ('urgent', 'near_term', 'long_term', 'evergreen')
  ),
  success_criteria text CHECK (length(success_criteria) BETWEEN 1 AND 2000),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'achieved', 'abandoned')),
  achieved_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id), -- what foreign keys of the tenant name
  CONSTRAINT connection_goals_achieved_check
  CHECK ((status = 'achieved') = (achieved_at IS NOT NULL)),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id)
);
CREATE INDEX connection_goals_status_idx ON connection_goals (user_id, status, id DESC);
CREATE INDEX connection_goals_contact_idx ON connection_goals (user_id, contact_id);

CREATE TABLE goal_tags (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 50),
  color text NOT NULL CHECK (color ~ '^#[0-9a-f]{6}$'),
  icon text NOT NULL CHECK (length(icon) BETWEEN 1 AND 50),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO goal_tags (name, color, icon)
VALUES
  ('career', '#2563eb', 'briefcase'),
  ('funding', '#16a34a', 'banknote'),
  ('learning', '#9333ea', 'book'),
  ('community', '#ea580c', 'people'),
  ('family', '#db2777', 'home'),
  ('health', '#0d9488', 'heart'),
  ('creative', '#ca8a04', 'palette'),
  ('travel', '#0284c7', 'compass');

CREATE TABLE goal_tag_links (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  goal_id uuid NOT NULL,
  tag_id uuid NOT NULL REFERENCES goal_tags ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (goal_id, tag_id),
  FOREIGN KEY (user_id, goal_id) REFERENCES connection_goals (user_id, id) ON DELETE CASCADE
);
CREATE INDEX goal_tag_links_goal_idx ON goal_tag_links (user_id, goal_id);
CREATE INDEX goal_tag_links_tag_idx ON goal_tag_links (tag_id);

-- A way to somebody that the user keeps, as it was found.
CREATE TABLE connection_paths (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  goal_id uuid,
  target_contact_id uuid,
  target_name text CHECK (length(target_name) BETWEEN 1 AND 200),
  target_company text CHECK (length(target_company) BETWEEN 1 AND 200),
  target_role text CHECK (length(target_role) BETWEEN 1 AND 200),
  length smallint NOT NULL CHECK (length BETWEEN 1 AND 6),
  confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  status text NOT NULL DEFAULT 'identified' CHECK (
    status IN ('identified', 'in_progress', 'completed', 'blocked')
  ),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id),
  FOREIGN KEY (user_id, goal_id) REFERENCES connection_goals (user_id, id)
  ON DELETE SET NULL (goal_id),
  FOREIGN KEY (user_id, target_contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (target_contact_id)
);
CREATE INDEX connection_paths_status_idx ON connection_paths (user_id, status, id DESC);
CREATE INDEX connection_paths_goal_idx ON connection_paths (user_id, goal_id);
CREATE INDEX connection_paths_target_idx ON connection_paths (user_id, target_contact_id);

CREATE TABLE connection_path_steps (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  path_id uuid NOT NULL,
  position smallint NOT NULL CHECK (position BETWEEN 1 AND 6),
  contact_id uuid, -- somebody of the user's address book
  person_id uuid REFERENCES users ON DELETE SET NULL, -- somebody who is here; both NULL: who is gone
  strength double precision NOT NULL CHECK (strength BETWEEN 0 AND 1), -- of the hop that leads here
  PRIMARY KEY (path_id, position),
  FOREIGN KEY (user_id, path_id) REFERENCES connection_paths (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id)
);
CREATE INDEX connection_path_steps_path_idx ON connection_path_steps (user_id, path_id, position);
CREATE INDEX connection_path_steps_contact_idx ON connection_path_steps (user_id, contact_id);
CREATE INDEX connection_path_steps_person_idx
ON connection_path_steps (person_id) WHERE person_id IS NOT NULL;

-- Answers to searches, kept for an hour; see app.read_path.
CREATE TABLE path_searches (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  digest bytea NOT NULL CHECK (length(digest) = 32), -- of what was asked
  steps jsonb NOT NULL, -- Structs Hop
  people uuid[] NOT NULL, -- users on the way; no key, since a search that names one who is gone is void
  seen pg_snapshot NOT NULL, -- which changes the search knew
  searched_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, digest)
);
CREATE INDEX path_searches_searched_at_idx ON path_searches (searched_at);

-- That something changed by which paths lead over a user. Only added to: whoever changes their
-- address book for minutes keeps nobody waiting.
CREATE TABLE graph_changes (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, xid)
);
CREATE INDEX graph_changes_changed_at_idx ON graph_changes (changed_at);

CREATE TABLE reminders (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  contact_id uuid,
  title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  note text CHECK (length(note) BETWEEN 1 AND 4000),
  timezone text NOT NULL CHECK (length(timezone) BETWEEN 1 AND 64), -- IANA name
  -- What the clock on the wall shows there, without any zone: from here the rule counts.
  first_local text NOT NULL CHECK (first_local ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$'),
  recurrence text CHECK (length(recurrence) BETWEEN 1 AND 500), -- RRULE of RFC 5545
  due_at timestamptz NOT NULL, -- the occurrence that is open, or was the last
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done', 'dismissed')),
  completed_at timestamptz,
  snoozed_until timestamptz,
  fired_at timestamptz, -- when the user was told of this occurrence; NULL: to come
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id)
  ON DELETE SET NULL (contact_id)
);
CREATE INDEX reminders_due_idx ON reminders (user_id, due_at, id) WHERE status = 'open';
CREATE INDEX reminders_list_idx ON reminders (user_id, due_at, id);
CREATE INDEX reminders_contact_idx ON reminders (user_id, contact_id);
CREATE INDEX reminders_to_fire_idx
ON reminders ((coalesce(snoozed_until, due_at)), id) WHERE status = 'open' AND fired_at IS NULL;

CREATE TABLE insights (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  kind text NOT NULL CHECK (
    kind IN ('connection_path', 'common_interest', 'opportunity', 'suggestion', 'anomaly')
  ),
  title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  content text NOT NULL CHECK (length(content) BETWEEN 1 AND 2000),
  actionable boolean NOT NULL,
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 300), -- the same fact is told once
  dismissed_at timestamptz,
  acted_on_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, id),
  UNIQUE (user_id, reason)
);
CREATE INDEX insights_shown_idx ON insights (user_id, id DESC) WHERE dismissed_at IS NULL;

CREATE TABLE insight_contacts (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  insight_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (insight_id, contact_id),
  FOREIGN KEY (user_id, insight_id) REFERENCES insights (user_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, contact_id) REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX insight_contacts_insight_idx ON insight_contacts (user_id, insight_id);
CREATE INDEX insight_contacts_contact_idx ON insight_contacts (user_id, contact_id);

-- In which interactions somebody can read why the hub believes something.
CREATE TABLE evidence (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  subject_type text NOT NULL CHECK (subject_type IN ('interest', 'link', 'memory', 'insight')),
  subject_id uuid NOT NULL, -- without a key, as it is of several tables; triggers follow them
  interaction_id uuid NOT NULL,
  PRIMARY KEY (subject_type, subject_id, interaction_id),
  FOREIGN KEY (user_id, interaction_id) REFERENCES interactions (user_id, id) ON DELETE CASCADE
);
CREATE INDEX evidence_interaction_idx ON evidence (user_id, interaction_id);

-- Which week's insights a user has had.
CREATE TABLE insight_weeks (
  user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  week date NOT NULL -- its Monday, in the user's time zone
);

-- Days in a row. The open one of a kind has no end yet, though it may have lapsed.
CREATE TABLE streaks (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('contact', 'login')),
  started_on date NOT NULL,
  ended_on date,
  length int NOT NULL CHECK (length >= 1),
  max_length int NOT NULL CHECK (max_length >= length), -- of this kind so far
  last_event_at timestamptz NOT NULL,
  at_risk_on date, -- the day of which the user was told that the streak ends with it
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX streaks_at_risk_idx ON streaks ((started_on + length)) WHERE ended_on IS NULL;
CREATE UNIQUE INDEX streaks_open_key ON streaks (user_id, kind) WHERE ended_on IS NULL;
CREATE INDEX streaks_user_id_idx ON streaks (user_id, id DESC);

CREATE TABLE achievements (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_]{0,63}$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  description text NOT NULL CHECK (length(description) BETWEEN 1 AND 500),
  tier text NOT NULL CHECK (tier IN ('bronze', 'silver', 'gold', 'platinum')),
  parent_id uuid REFERENCES achievements ON DELETE SET NULL, -- the step before it
  rule jsonb NOT NULL, -- Structs EventCount, StreakLength
  points int NOT NULL CHECK (points >= 0),
  icon text NOT NULL CHECK (length(icon) BETWEEN 1 AND 50),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX achievements_parent_idx ON achievements (parent_id);
INSERT INTO achievements (code, name, description, tier, rule, points, icon)
VALUES
  ('first_tap', 'First tap', 'Tap your ring once.', 'bronze',
   '{"type": "event_count", "event_type": "ring.tapped", "target": 1}', 10, 'ring'),
  ('taps_100', 'Well worn', 'Tap your ring a hundred times.', 'silver',
   '{"type": "event_count", "event_type": "ring.tapped", "target": 100}', 50, 'ring'),
  ('taps_1000', 'Second nature', 'Tap your ring a thousand times.', 'gold',
   '{"type": "event_count", "event_type": "ring.tapped", "target": 1000}', 200, 'ring'),
  ('first_exchange', 'Nice to meet you', 'Exchange cards at a touch.', 'bronze',
   '{"type": "event_count", "event_type": "touch.exchanged", "target": 1}', 20, 'handshake'),
  ('exchanges_25', 'Round of hands', 'Exchange cards at 25 touches.', 'gold',
   '{"type": "event_count", "event_type": "touch.exchanged", "target": 25}', 200, 'handshake'),
  ('first_message', 'Hello', 'Send a message.', 'bronze',
   '{"type": "event_count", "event_type": "message.sent", "target": 1}', 10, 'message'),
  ('messages_100', 'Pen pal', 'Send a hundred messages.', 'silver',
   '{"type": "event_count", "event_type": "message.sent", "target": 100}', 50, 'message'),
  ('first_goal', 'Done', 'Achieve a goal.', 'silver',
   '{"type": "event_count", "event_type": "goal.achieved", "target": 1}', 50, 'flag'),
  ('goals_10', 'Ten of ten', 'Achieve ten goals.', 'platinum',
   '{"type": "event_count", "event_type": "goal.achieved", "target": 10}', 500, 'flag'),
  ('contact_week', 'In touch', 'Be in contact with people seven days in a row.', 'silver',
   '{"type": "streak_length", "kind": "contact", "target": 7}', 70, 'flame'),
  ('contact_month', 'Always in touch', 'Be in contact with people thirty days in a row.', 'gold',
   '{"type": "streak_length", "kind": "contact", "target": 30}', 300, 'flame'),
  ('login_week', 'Regular', 'Be here seven days in a row.', 'bronze',
   '{"type": "streak_length", "kind": "login", "target": 7}', 30, 'calendar');
UPDATE achievements AS a
SET parent_id = p.id
FROM (
  VALUES
    ('taps_100', 'first_tap'), ('taps_1000', 'taps_100'), ('exchanges_25', 'first_exchange'),
    ('messages_100', 'first_message'), ('goals_10', 'first_goal'), ('contact_month', 'contact_week')
) AS s (code, before)
JOIN achievements AS p ON p.code = s.before
WHERE a.code = s.code;

CREATE TABLE achievement_progress (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  achievement_id uuid NOT NULL REFERENCES achievements ON DELETE CASCADE,
  current_value int NOT NULL CHECK (current_value BETWEEN 0 AND target_value),
  target_value int NOT NULL CHECK (target_value >= 1),
  percent int NOT NULL GENERATED ALWAYS AS ((current_value::bigint * 100 / target_value)::int) STORED,
  last_increment_at timestamptz NOT NULL,
  unlocked_at timestamptz,
  PRIMARY KEY (user_id, achievement_id)
);
CREATE INDEX achievement_progress_achievement_idx ON achievement_progress (achievement_id);
CREATE INDEX achievement_progress_near_idx
ON achievement_progress (user_id, percent DESC) WHERE unlocked_at IS NULL;

-- Which event was counted for what: an event that comes again counts once.
CREATE TABLE achievement_increments (
  event_id uuid NOT NULL, -- without a key: events are dropped by month
  achievement_id uuid NOT NULL REFERENCES achievements ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_id, achievement_id, user_id)
);
CREATE INDEX achievement_increments_achievement_idx ON achievement_increments (achievement_id);
CREATE INDEX achievement_increments_user_idx ON achievement_increments (user_id);
CREATE INDEX achievement_increments_created_at_idx ON achievement_increments (created_at);

-- New words beside those that earlier steps allow.
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT k.conrelid::regclass AS relation, k.conname, w.words,
      pg_get_constraintdef(k.oid) AS rule
    FROM (
      VALUES
        ('api_keys_scopes_check',
         '''goals:read''::text, ''goals:write''::text, ''reminders:read''::text, ''reminders:write''::text, ''insights:read''::text, ''insights:write''::text, ''achievements:read''::text'),
        ('consents_purpose_check', '''introductions''::text'),
        ('consent_history_purpose_check', '''introductions''::text')
    ) AS w (name, words)
    JOIN pg_constraint AS k
      ON k.conname = w.name AND k.connamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.relation, c.conname);
    EXECUTE format(
      'ALTER TABLE %s ADD CONSTRAINT %I %s', c.relation, c.conname,
      regexp_replace(c.rule, 'ARRAY\[', 'ARRAY[' || c.words || ', ')
    );
  END LOOP;
END
$$;
