"""SQL of reminders; rows are fenced by owner, but for the task that tells of those that are due."""

from uuid import UUID

from core.db import command, query
from hub.domains.reminders.schemas import Reminder, Schedule

list_reminders = query(
    Reminder,
    """
    SELECT id, contact_id, title, note, timezone, recurrence, due_at, status, completed_at,
        snoozed_until, fired_at, created_at, updated_at
    FROM reminders
    WHERE user_id = app.user_id()
        AND ($1::timestamptz IS NULL OR (due_at, id) > ($1::timestamptz, $2::uuid))
        AND ($3::text IS NULL OR status = $3::text)
        AND ($4::uuid IS NULL OR contact_id = $4::uuid)
    ORDER BY due_at, id
    LIMIT $5
    """,
)

find_reminder = query(
    Reminder,
    """
    SELECT id, contact_id, title, note, timezone, recurrence, due_at, status, completed_at,
        snoozed_until, fired_at, created_at, updated_at
    FROM reminders
    WHERE id = $1
    """,
)

lock_schedule = query(
    Schedule,
    """
    SELECT first_local, timezone, recurrence, due_at, status
    FROM reminders
    WHERE id = $1
    FOR UPDATE
    """,
)

count_reminders = query(int, "SELECT count(*) FROM reminders")

add_reminder = query(
    UUID,
    """
    INSERT INTO reminders (title, note, contact_id, timezone, first_local, recurrence, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING id
    """,
)

change_words = command("UPDATE reminders SET title = $2, note = $3, contact_id = $4 WHERE id = $1")

reschedule = command(
    """
    UPDATE reminders
    SET timezone = $2, first_local = $3, recurrence = $4, due_at = $5, status = 'open',
        snoozed_until = NULL, fired_at = NULL
    WHERE id = $1
    """
)

finish = command(
    """
    UPDATE reminders
    SET status = $2, completed_at = coalesce($3, completed_at), snoozed_until = NULL
    WHERE id = $1
    """
)

advance = command(
    """
    UPDATE reminders
    SET due_at = $2, completed_at = $3, snoozed_until = NULL, fired_at = NULL
    WHERE id = $1
    """
)

snooze = command("UPDATE reminders SET snoozed_until = $2, fired_at = NULL WHERE id = $1")

remove_reminder = command("DELETE FROM reminders WHERE id = $1")

# What another worker has locked it tells of; the trigger of `fired_at` writes the events.
fire_due = command(
    """
    WITH due AS MATERIALIZED (
        SELECT id
        FROM reminders
        WHERE status = 'open' AND fired_at IS NULL AND coalesce(snoozed_until, due_at) <= $1
        ORDER BY coalesce(snoozed_until, due_at), id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    UPDATE reminders
    SET fired_at = $1
    WHERE id IN (SELECT d.id FROM due AS d)
    """,
    login="system",
)
