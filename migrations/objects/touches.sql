-- Functions of touches and friends; see functions.sql.

SET LOCAL ROLE ping_definer;

-- Makes two users friends; again changes nothing. Returns whether they are so from now on.
CREATE OR REPLACE FUNCTION app.befriend(one uuid, other uuid, source text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.friendships (user_id, friend_id, source)
  SELECT pair.user_id, pair.friend_id, befriend.source
  FROM (VALUES (one, other), (other, one)) AS pair (user_id, friend_id)
  ORDER BY pair.user_id -- so that two who meet twice at once wait for each other in one order
  ON CONFLICT (user_id, friend_id) DO NOTHING;
  RETURN FOUND;
END
$$;

-- Ends the actor's friendship; the other side's row goes with it.
CREATE OR REPLACE FUNCTION app.unfriend(friend uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- In the order in which an exchange takes them, whichever of the two ends it.
  PERFORM FROM public.profiles AS p
  WHERE p.user_id IN (app.user_id(), friend)
  ORDER BY p.user_id
  FOR NO KEY UPDATE;
  DELETE FROM public.friendships AS f
  WHERE f.user_id = app.user_id() AND f.friend_id = unfriend.friend;
  RETURN FOUND;
END
$$;

-- Trigger: profiles.friends_count is the number of rows here.
CREATE OR REPLACE FUNCTION app.count_friends() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  UPDATE public.profiles AS p
  SET friends_count = p.friends_count + CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END
  WHERE p.user_id = CASE WHEN TG_OP = 'INSERT' THEN NEW.user_id ELSE OLD.user_id END;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.is_blocked(one uuid, other uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
  SELECT EXISTS (
    SELECT FROM public.blocks AS b
    WHERE (b.user_id, b.blocked_id) IN ((one, other), (other, one))
  )
$$;

-- Writes a user's answer under that user's name. The rest of the transaction has no actor: who
-- answered would else stand in the events of the other side.
CREATE OR REPLACE FUNCTION app.answer_touch(touch uuid, owner uuid, answer text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  PERFORM set_config('app.user_id', owner::text, true);
  UPDATE public.touches AS t
  SET answer = answer_touch.answer, is_asked = false
  WHERE t.id = touch AND t.user_id = owner;
  PERFORM set_config('app.user_id', '', true);
END
$$;

-- The end of a touch that both owners share: friendship, conversation, what each may know of the
-- other. `sides` carries each side's id and the partner's card, sealed for it.
CREATE OR REPLACE FUNCTION app.exchange_touch(
  meeting uuid, side_ids uuid[], partner_cards bytea[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  one uuid;
  other uuid;
  talk uuid;
BEGIN
  SELECT t.user_id INTO STRICT one
  FROM public.touches AS t WHERE t.meeting_id = meeting AND t.side = 1;
  SELECT t.user_id INTO STRICT other
  FROM public.touches AS t WHERE t.meeting_id = meeting AND t.side = 2;
  -- Somebody has to have opened it: an event names its actor.
  PERFORM set_config('app.user_id', one::text, true);
  SELECT c.id INTO STRICT talk FROM app.open_direct_conversation(other) AS c;
  PERFORM set_config('app.user_id', '', true);
  PERFORM app.befriend(one, other, 'ring_tap');
  UPDATE public.touches AS t
  SET
    state = 'exchanged',
    is_asked = false,
    partner_user_id = CASE t.user_id WHEN one THEN other ELSE one END,
    partner_card = given.card,
    conversation_id = talk
  FROM unnest(side_ids, partner_cards) AS given (side_id, card)
  WHERE t.id = given.side_id AND t.meeting_id = meeting AND t.state = 'mutual';
  UPDATE public.ring_taps AS p
  SET state = 'exchanged'
  FROM public.touches AS t
  WHERE t.meeting_id = meeting AND p.id = t.tap_id;
END
$$;

SET LOCAL ROLE ping_owner;
