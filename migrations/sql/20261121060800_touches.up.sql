-- What a user hands over when rings touch; one card per user.
CREATE TABLE contact_cards (
  user_id uuid PRIMARY KEY DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  card bytea NOT NULL, -- sealed; Struct Card
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE blocks (
  user_id uuid NOT NULL DEFAULT app.user_id() REFERENCES users ON DELETE CASCADE,
  blocked_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, blocked_id),
  CHECK (user_id <> blocked_id)
);
CREATE INDEX blocks_blocked_id_idx ON blocks (blocked_id);

-- Two rows per friendship, one for each side.
CREATE TABLE friendships (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  friend_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  source text NOT NULL CHECK (source IN ('request', 'ring_tap', 'contact_match', 'import')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, friend_id),
  CHECK (user_id <> friend_id),
  -- Nobody is a friend alone: neither row is there without the other, and both go together.
  CONSTRAINT friendships_mirror_fkey FOREIGN KEY (friend_id, user_id)
  REFERENCES friendships (user_id, friend_id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX friendships_friend_id_idx ON friendships (friend_id, user_id);

-- One row per side: what a side may know stands in its own row, what it may not stands in none of
-- its rows. Both sides of a touch have the same meeting.
CREATE TABLE touches (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  meeting_id uuid NOT NULL DEFAULT uuidv7(),
  side smallint NOT NULL CHECK (side BETWEEN 1 AND 2), -- 1: whose record came first, or whose ring it is
  ring_id uuid, -- this side's own ring; NULL: a phone
  tap_id uuid UNIQUE REFERENCES ring_taps ON DELETE SET NULL, -- this side's own record
  state text NOT NULL DEFAULT 'half'
  CHECK (state IN ('half', 'mutual', 'exchanged', 'declined', 'expired')),
  is_asked boolean NOT NULL DEFAULT false, -- this side's owner may confirm or decline
  answer text CHECK (answer IN ('confirmed', 'declined')),
  partner_user_id uuid REFERENCES users ON DELETE SET NULL, -- from the exchange on
  partner_card bytea, -- sealed; Struct Card; from the exchange on
  conversation_id uuid REFERENCES conversations ON DELETE SET NULL, -- from the exchange on
  touched_at timestamptz,
  searched_at timestamptz, -- when the other ring of a half was looked for, to ask its owner
  expires_at timestamptz NOT NULL, -- a half waits until then
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (meeting_id, side),
  FOREIGN KEY (user_id, ring_id) REFERENCES rings (user_id, id) ON DELETE CASCADE,
  CONSTRAINT touches_disclosure_check CHECK (
    state = 'exchanged' OR (partner_user_id IS NULL AND partner_card IS NULL)
  )
);
CREATE INDEX touches_user_id_id_idx ON touches (user_id, id DESC);
CREATE INDEX touches_user_id_ring_id_idx ON touches (user_id, ring_id);
CREATE INDEX touches_partner_user_id_idx ON touches (partner_user_id)
WHERE partner_user_id IS NOT NULL;
CREATE INDEX touches_conversation_id_idx ON touches (conversation_id)
WHERE conversation_id IS NOT NULL;
CREATE INDEX touches_waiting_idx ON touches (expires_at) WHERE state = 'half';
CREATE INDEX touches_unsearched_idx ON touches (created_at)
WHERE state = 'half' AND side = 1 AND searched_at IS NULL;

-- A half finds its partner crosswise: the partner's record carries the same two numbers, swapped.
CREATE INDEX ring_taps_touch_idx ON ring_taps (seq, peer_ctr, received_at)
WHERE kind = 'ring_to_ring' AND peer_eid IS NOT NULL;

-- A card belongs to one side only, and a ring's record is not all that can meet another ring.
ALTER TABLE ring_taps DROP COLUMN partner_contact;
