"""SQL of touches. Users read their own side; everything else is the hub's own processes'.

Locks are taken in one order everywhere: records by id, then sides by id, then profiles.
"""

from typing import Final
from uuid import UUID

from core.db import command, query
from hub.domains.touches.schemas import (
    IdKey,
    LockedTap,
    Lone,
    ReadTap,
    Record,
    SealedCard,
    Side,
    Touch,
)

_TOUCH_COLUMNS: Final = (
    "id, ring_id, tap_id, state, is_asked, answer, partner_user_id AS partner_id, "
    "conversation_id, touched_at, expires_at, created_at"
)

list_touches = query(
    Touch,
    """
    SELECT {columns}
    FROM touches
    WHERE user_id = app.user_id() AND ($1::uuid IS NULL OR id < $1::uuid)
    ORDER BY id DESC
    LIMIT $2
    """,
    columns=_TOUCH_COLUMNS,
)

find_touch = query(
    Touch,
    """
    SELECT {columns}
    FROM touches
    WHERE id = $1 AND user_id = app.user_id()
    """,
    columns=_TOUCH_COLUMNS,
)

find_card = query(
    SealedCard,
    """
    SELECT id, state, partner_user_id, partner_card
    FROM touches
    WHERE id = $1 AND user_id = app.user_id()
    """,
)

_HALF_COLUMNS: Final = (
    "t.id AS tap_id, t.user_id, t.ring_id, t.seq, t.peer_eid, t.peer_ctr AS peer_seq, r.id_key, "
    "t.tapped_at, coalesce(t.uncertainty_ms, 0) AS uncertainty_ms, t.received_at"
)

# Only of rings that are in their owner's hands: of a lost one nothing counts.
find_record = query(
    Record,
    """
    SELECT {columns}
    FROM ring_taps AS t
    JOIN rings AS r ON r.id = t.ring_id AND r.user_id = t.user_id AND r.status = 'active'
    WHERE t.id = $1 AND t.kind = 'ring_to_ring' AND t.peer_eid IS NOT NULL
    """,
    columns=_HALF_COLUMNS,
    login="system",
)

# Crosswise, which is one step into an index; whose identifiers they carry is then asked of the few.
find_candidates = query(
    Record,
    """
    SELECT {columns}
    FROM ring_taps AS t
    JOIN rings AS r ON r.id = t.ring_id AND r.user_id = t.user_id AND r.status = 'active'
    WHERE t.kind = 'ring_to_ring'
        AND t.peer_eid IS NOT NULL
        AND t.seq = $1
        AND t.peer_ctr = $2
        AND t.ring_id <> $3
        AND t.received_at > now() - make_interval(secs => $6)
        AND (t.state = 'half' OR t.partner_ring_id = $3)
        AND r.id_key IS NOT NULL
        AND t.tapped_at BETWEEN
            $4::timestamptz - make_interval(
                secs => greatest($7, (coalesce(t.uncertainty_ms, 0) + $5::float8) / 1000)
            )
            AND $4::timestamptz + make_interval(
                secs => greatest($7, (coalesce(t.uncertainty_ms, 0) + $5::float8) / 1000)
            )
    ORDER BY abs(extract(epoch FROM t.tapped_at - $4::timestamptz)), t.id
    LIMIT $8
    """,
    columns=_HALF_COLUMNS,
    login="system",
)

lock_taps = query(
    LockedTap,
    """
    SELECT id AS tap_id, state, partner_ring_id
    FROM ring_taps
    WHERE id = ANY($1::uuid[])
    ORDER BY id
    FOR NO KEY UPDATE
    """,
    login="system",
)

taps_of_meeting = query(
    UUID,
    """
    SELECT b.tap_id
    FROM touches AS a
    JOIN touches AS b ON b.meeting_id = a.meeting_id
    WHERE a.id = $1 AND a.user_id = $2 AND b.tap_id IS NOT NULL
    """,
    login="system",
)

_SIDE_COLUMNS: Final = "id, user_id, meeting_id, side, ring_id, tap_id, state, is_asked, answer"

sides_of_taps = query(
    Side,
    """
    SELECT {columns}
    FROM touches
    WHERE tap_id = ANY($1::uuid[])
    ORDER BY id
    FOR NO KEY UPDATE
    """,
    columns=_SIDE_COLUMNS,
    login="system",
)

sides_of_meeting = query(
    Side,
    """
    SELECT {columns}
    FROM touches
    WHERE meeting_id = $1
    ORDER BY id
    FOR NO KEY UPDATE
    """,
    columns=_SIDE_COLUMNS,
    login="system",
)

meeting_of = query(
    UUID,
    "SELECT meeting_id FROM touches WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE",
    login="system",
)

insert_side = query(
    UUID,
    """
    INSERT INTO touches (user_id, meeting_id, side, ring_id, tap_id, touched_at, expires_at)
    VALUES (
        $1, coalesce($2::uuid, uuidv7()), $3, $4, $5, $6,
        $7::timestamptz + make_interval(secs => $8)
    )
    RETURNING meeting_id
    """,
    login="system",
)

give_tap = command("UPDATE touches SET tap_id = $2 WHERE id = $1", login="system")

drop_meeting = command("DELETE FROM touches WHERE meeting_id = $1", login="system")

set_state = command("UPDATE touches SET state = $2, is_asked = $3 WHERE id = $1", login="system")

mark_taps = command(
    """
    UPDATE ring_taps AS p
    SET state = $2, partner_ring_id = other.ring_id, partner_user_id = other.user_id
    FROM touches AS own
    JOIN touches AS other ON other.meeting_id = own.meeting_id AND other.side <> own.side
    WHERE own.meeting_id = $1 AND p.id = own.tap_id
    """,
    login="system",
)

answer = command("SELECT app.answer_touch($1, $2, $3)", login="system")

exchange = command("SELECT app.exchange_touch($1, $2, $3)", login="system")

find_read_tap = query(
    ReadTap,
    "SELECT user_id, ring_id, tapped_at FROM ring_taps WHERE id = $1 FOR NO KEY UPDATE",
    login="system",
)

phone_side = query(
    UUID,
    """
    SELECT phone.id
    FROM touches AS ring
    JOIN touches AS phone ON phone.meeting_id = ring.meeting_id AND phone.side = 2
    WHERE ring.tap_id = $1 AND ring.side = 1 AND phone.user_id = $2
    """,
    login="system",
)

lock_lone = query(
    Lone,
    """
    SELECT t.id AS touch_id, t.user_id, p.ring_id, p.peer_eid, p.tapped_at,
        coalesce(p.uncertainty_ms, 0) AS uncertainty_ms
    FROM touches AS t
    JOIN ring_taps AS p ON p.id = t.tap_id
    WHERE t.state = 'half'
        AND t.side = 1
        AND t.searched_at IS NULL
        AND t.expires_at > now()
        AND t.created_at < now() - make_interval(secs => $1)
        AND p.peer_eid IS NOT NULL
        AND p.tapped_at IS NOT NULL
    ORDER BY t.created_at
    LIMIT $2
    FOR NO KEY UPDATE OF t SKIP LOCKED
    """,
    login="system",
)

note_searched = command(
    "UPDATE touches SET searched_at = now() WHERE id = ANY($1::uuid[])", login="system"
)

id_keys = query(
    IdKey,
    """
    SELECT id AS ring_id, id_key
    FROM rings
    WHERE status = 'active' AND id_key IS NOT NULL
    """,
    login="system",
)

# Whose ring has told another story of that number was not touched; whoever shares with nobody, or
# has blocked the other, is not asked; and a stranger who overheard identifiers cannot ask without
# end: whoever was declined waits for a day, as nobody learns whom to block.
ask = command(
    """
    INSERT INTO touches (user_id, meeting_id, side, ring_id, is_asked, touched_at, expires_at)
    SELECT r.user_id, half.meeting_id, 2, r.id, true, half.touched_at, half.expires_at
    FROM touches AS half
    JOIN ring_taps AS said ON said.id = half.tap_id
    JOIN rings AS r ON r.id = $2 AND r.status = 'active'
    JOIN profiles AS asked ON asked.user_id = r.user_id
    JOIN profiles AS asking ON asking.user_id = half.user_id
    WHERE half.id = $1
        AND r.user_id <> half.user_id
        AND coalesce(asked.privacy_settings ->> 'share_on_tap', 'ask') <> 'never'
        AND coalesce(asking.privacy_settings ->> 'share_on_tap', 'ask') <> 'never'
        AND NOT app.is_blocked(r.user_id, half.user_id)
        AND NOT EXISTS (
            SELECT FROM ring_taps AS told
            WHERE told.ring_id = r.id AND told.boot > 0 AND told.seq = said.peer_ctr
        )
        AND NOT EXISTS (
            SELECT FROM touches AS open
            JOIN touches AS opener ON opener.meeting_id = open.meeting_id AND opener.side = 1
            WHERE open.user_id = r.user_id
                AND opener.user_id = half.user_id
                AND (
                    (open.state = 'half' AND open.is_asked)
                    OR (open.answer = 'declined' AND open.updated_at > now() - interval '1 day')
                )
        )
        AND (
            SELECT count(*) FROM touches AS open
            WHERE open.user_id = r.user_id AND open.state = 'half' AND open.is_asked
        ) < $3
    ON CONFLICT (meeting_id, side) DO NOTHING
    """,
    login="system",
)

expire = command(
    """
    UPDATE touches
    SET state = 'expired', is_asked = false
    WHERE id IN (
        SELECT id
        FROM touches
        WHERE state = 'half' AND expires_at <= now()
        ORDER BY id
        LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
    )
    """,
    login="system",
)
