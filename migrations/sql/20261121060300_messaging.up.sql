CREATE TABLE conversations (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  kind text NOT NULL CHECK (kind IN ('direct', 'group', 'external')),
  direct_key text UNIQUE, -- both user ids in order: two users have one direct conversation
  last_message_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind = 'direct') = (direct_key IS NOT NULL))
);

CREATE TABLE conversation_members (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
  last_read_id uuid,
  muted_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (conversation_id, user_id)
);
CREATE INDEX conversation_members_user_id_idx ON conversation_members (user_id, conversation_id);

CREATE TABLE messages (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
  sender_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  kind text NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'video', 'voice', 'system')),
  body text CHECK (length(body) BETWEEN 1 AND 4000),
  reply_to_id uuid,
  client_key text CHECK (length(client_key) BETWEEN 1 AND 64),
  expires_at timestamptz,
  edited_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (sender_id, client_key),
  UNIQUE (conversation_id, id),
  -- A reply stays inside its conversation.
  FOREIGN KEY (conversation_id, reply_to_id) REFERENCES messages (conversation_id, id)
  ON DELETE SET NULL (reply_to_id)
);
CREATE INDEX messages_reply_to_id_idx ON messages (conversation_id, reply_to_id)
WHERE reply_to_id IS NOT NULL;
