"""Goals, ways, reminders, insights and achievements."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.isolation.asks import HERS, Ask, Foreign, Own, beside

_CREATED = frozenset({201})
_TOMORROW = datetime.now(UTC) + timedelta(days=1)
_NEW_GOAL: dict[str, Any] = {"kind": "mentor", "intention": "hello"}
_NEW_REMINDER: dict[str, Any] = {
    "title": "hello",
    "due_local": f"{_TOMORROW:%Y-%m-%dT%H:%M}",
    "timezone": "UTC",
}

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /v1/goals": (
        Own(),
        Own(path="/v1/goals?tag_id={tag}"),
    ),
    "POST /v1/goals": (
        Own(body=_NEW_GOAL, expected=_CREATED),
        Foreign(body={**_NEW_GOAL, "contact_id": "{contact}"}, code="contact.not_found"),
    ),
    "GET /v1/goals/{goal_id}": (HERS,),
    "PATCH /v1/goals/{goal_id}": (
        Foreign(body={"intention": "mine"}),
        beside("/v1/goals/{my_goal}", "contact.not_found", {"contact_id": "{contact}"}),
    ),
    "GET /v1/goal-tags": (Own(),),
    "PUT /v1/goals/{goal_id}/tags/{tag_id}": (HERS,),
    "DELETE /v1/goals/{goal_id}/tags/{tag_id}": (HERS,),
    "POST /v1/paths/find": (
        Foreign(body={"target_contact_id": "{contact}"}, code="path.target_unknown"),
        Foreign(
            body={"target_company": "canary-of-ada"}, code="path.target_unknown", by="stranger"
        ),
    ),
    "POST /v1/paths": (
        Foreign(body={"target_contact_id": "{contact}"}, code="path.target_unknown"),
        beside(
            "/v1/paths",
            "goal.not_found",
            {"target_contact_id": "{my_contact}", "goal_id": "{goal}"},
        ),
    ),
    "GET /v1/paths": (
        Own(),
        Own(path="/v1/paths?goal_id={goal}"),
    ),
    "GET /v1/paths/{path_id}": (HERS,),
    "PATCH /v1/paths/{path_id}": (
        Foreign(body={"status": "in_progress"}),
        beside("/v1/paths/{my_path}", "goal.not_found", {"goal_id": "{goal}"}),
    ),
    "GET /v1/reminders": (
        Own(),
        Own(path="/v1/reminders?contact_id={contact}"),
    ),
    "POST /v1/reminders": (
        Own(body=_NEW_REMINDER, expected=_CREATED),
        Foreign(body={**_NEW_REMINDER, "contact_id": "{contact}"}, code="contact.not_found"),
    ),
    "GET /v1/reminders/{reminder_id}": (HERS,),
    "PATCH /v1/reminders/{reminder_id}": (
        Foreign(body={"title": "mine"}),
        beside("/v1/reminders/{my_reminder}", "contact.not_found", {"contact_id": "{contact}"}),
    ),
    "POST /v1/reminders/{reminder_id}/snooze": (Foreign(body={"until": _TOMORROW.isoformat()}),),
    "POST /v1/reminders/{reminder_id}/done": (HERS,),
    "POST /v1/reminders/{reminder_id}/dismiss": (HERS,),
    "GET /v1/insights": (Own(),),
    "GET /v1/insights/{insight_id}": (HERS,),
    "POST /v1/insights/{insight_id}/act": (HERS,),
    "POST /v1/insights/{insight_id}/dismiss": (HERS,),
    "GET /v1/achievements": (Own(),),
    "GET /v1/me/achievements": (Own(),),
    "GET /v1/me/streaks": (Own(),),
}
