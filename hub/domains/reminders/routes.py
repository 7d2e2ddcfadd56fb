"""REST: reminders."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from core.db import Tx
from hub.domains.reminders import service
from hub.domains.reminders.schemas import (
    ChangeReminder,
    NewReminder,
    Reminder,
    ReminderStatus,
    Snooze,
)
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/reminders/{reminder_id:uuid}"
_SCHEDULED: Final = (
    "contact.not_found",
    "contact.merged",
    "reminder.time_invalid",
    "reminder.recurrence_invalid",
)
_ANSWERED: Final = ("reminder.not_found", "reminder.closed", "request.precondition_failed")
# That the hub has told of it is nobody's change.
_EDITED: Final = (
    "contact_id",
    "title",
    "note",
    "timezone",
    "recurrence",
    "due_at",
    "status",
    "snoozed_until",
)


@get("/reminders", tags=["reminders"], responses=documented("request.cursor_invalid"))
async def list_reminders(
    request: Request[Any, Any, Any],
    status: Annotated[
        ReminderStatus | None, QueryParameter(description="Only reminders in this state.")
    ] = None,
    contact_id: Annotated[
        UUID | None, QueryParameter(description="Only reminders about this contact.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Reminder]:
    """List one's reminders in the order in which they are due."""
    async with reading(request) as tx:
        return await service.list_reminders(
            tx, status=status, contact_id=contact_id, limit=limit, cursor=cursor
        )


@post("/reminders", tags=["reminders"], responses=documented("reminder.limit", *_SCHEDULED, *KEYED))
async def add_reminder(
    request: Request[Any, Any, Any],
    data: JSONBody[NewReminder],
    idempotency_key: OptionalKey = None,
) -> Response[Reminder]:
    """Set a reminder; when it is due, `reminder.due` comes on `notifications:{user}`.

    `due_local` is a clock on the wall of the time zone. Where clocks go forward over it, it is as
    much later; where it comes twice, the first counts. With `recurrence` the first day from there
    on that the rule names.
    """

    async def effect(tx: Tx) -> Answer[Reminder]:
        return Answer(await service.add_reminder(tx, data))

    return await once(request, idempotency_key, effect)


@get(_PATH, tags=["reminders"], responses=documented("reminder.not_found"))
async def get_reminder(
    request: Request[Any, Any, Any], reminder_id: FromPath[UUID]
) -> Response[Reminder]:
    """Return a reminder."""
    async with reading(request) as tx:
        return tagged(await service.get_reminder(tx, reminder_id), edited=_EDITED)


@patch(
    _PATH,
    tags=["reminders"],
    responses=documented("reminder.not_found", "request.precondition_failed", *_SCHEDULED),
)
async def change_reminder(
    request: Request[Any, Any, Any],
    reminder_id: FromPath[UUID],
    data: JSONBody[ChangeReminder],
    if_match: IfMatch = None,
) -> Response[Reminder]:
    """Change a reminder; another time, zone or rule begins it anew."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_reminder(tx, reminder_id),
        effect=lambda tx: service.change_reminder(tx, reminder_id, data),
        edited=_EDITED,
    )


@delete(_PATH, tags=["reminders"], responses=documented("reminder.not_found"))
async def remove_reminder(request: Request[Any, Any, Any], reminder_id: FromPath[UUID]) -> None:
    """Remove a reminder."""
    async with writing(request) as tx:
        await service.remove_reminder(tx, reminder_id)


@post(f"{_PATH}/done", tags=["reminders"], status_code=200, responses=documented(*_ANSWERED))
async def complete_reminder(
    request: Request[Any, Any, Any], reminder_id: FromPath[UUID], if_match: IfMatch = None
) -> Response[Reminder]:
    """Say that the open occurrence is done; of a rule, the next one to come is open then.

    With If-Match a repetition does not skip an occurrence.
    """
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_reminder(tx, reminder_id),
        effect=lambda tx: service.complete(tx, reminder_id),
        edited=_EDITED,
    )


@post(f"{_PATH}/dismiss", tags=["reminders"], status_code=200, responses=documented(*_ANSWERED))
async def dismiss_reminder(
    request: Request[Any, Any, Any], reminder_id: FromPath[UUID], if_match: IfMatch = None
) -> Response[Reminder]:
    """End a reminder for good, with all that its rule would still bring."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_reminder(tx, reminder_id),
        effect=lambda tx: service.dismiss(tx, reminder_id),
        edited=_EDITED,
    )


@post(
    f"{_PATH}/snooze",
    tags=["reminders"],
    status_code=200,
    responses=documented("reminder.time_invalid", *_ANSWERED),
)
async def snooze_reminder(
    request: Request[Any, Any, Any],
    reminder_id: FromPath[UUID],
    data: JSONBody[Snooze],
    if_match: IfMatch = None,
) -> Response[Reminder]:
    """Have oneself told of the open occurrence again, at another time of the coming year."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_reminder(tx, reminder_id),
        effect=lambda tx: service.snooze(tx, reminder_id, data.until),
        edited=_EDITED,
    )


REMINDER_ROUTES: Final = [
    list_reminders,
    add_reminder,
    get_reminder,
    change_reminder,
    remove_reminder,
    complete_reminder,
    dismiss_reminder,
    snooze_reminder,
]
