"""REST: goals and their tags."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from core.db import Tx
from hub.domains.goals import service
from hub.domains.goals.schemas import ChangeGoal, Goal, GoalStatus, GoalTag, NewGoal
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/goals/{goal_id:uuid}"
_TAG: Final = f"{_PATH}/tags/{{tag_id:uuid}}"


@get("/goals", tags=["goals"], responses=documented("request.cursor_invalid"))
async def list_goals(
    request: Request[Any, Any, Any],
    status: Annotated[
        GoalStatus | None, QueryParameter(description="Only goals in this state.")
    ] = None,
    tag_id: Annotated[UUID | None, QueryParameter(description="Only goals with this tag.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Goal]:
    """List one's goals, the newest first."""
    async with reading(request) as tx:
        return await service.list_goals(
            tx, status=status, tag_id=tag_id, limit=limit, cursor=cursor
        )


@post(
    "/goals",
    tags=["goals"],
    responses=documented("contact.not_found", "contact.merged", "goal.limit", *KEYED),
)
async def add_goal(
    request: Request[Any, Any, Any],
    data: JSONBody[NewGoal],
    idempotency_key: OptionalKey = None,
) -> Response[Goal]:
    """Set a goal: what one wants, of whom, and when."""

    async def effect(tx: Tx) -> Answer[Goal]:
        return Answer(await service.add_goal(tx, data))

    return await once(request, idempotency_key, effect)


@get(_PATH, tags=["goals"], responses=documented("goal.not_found"))
async def get_goal(request: Request[Any, Any, Any], goal_id: FromPath[UUID]) -> Response[Goal]:
    """Return a goal."""
    async with reading(request) as tx:
        return tagged(await service.get_goal(tx, goal_id))


@patch(
    _PATH,
    tags=["goals"],
    responses=documented(
        "goal.not_found",
        "goal.status_invalid",
        "contact.not_found",
        "contact.merged",
        "request.precondition_failed",
    ),
)
async def change_goal(
    request: Request[Any, Any, Any],
    goal_id: FromPath[UUID],
    data: JSONBody[ChangeGoal],
    if_match: IfMatch = None,
) -> Response[Goal]:
    """Change a goal, or say that it is achieved, abandoned, or active again.

    What is achieved stays so, and is counted.
    """
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_goal(tx, goal_id),
        effect=lambda tx: service.change_goal(tx, goal_id, data),
    )


@delete(_PATH, tags=["goals"], responses=documented("goal.not_found"))
async def remove_goal(request: Request[Any, Any, Any], goal_id: FromPath[UUID]) -> None:
    """Remove a goal; paths that were kept for it stay."""
    async with writing(request) as tx:
        await service.remove_goal(tx, goal_id)


@get("/goal-tags", tags=["goals"], responses=documented())
async def list_goal_tags(request: Request[Any, Any, Any]) -> list[GoalTag]:
    """List the tags that goals can have; they are the same for everybody."""
    async with reading(request) as tx:
        return await service.list_tags(tx)


@put(
    _TAG,
    tags=["goals"],
    status_code=204,
    responses=documented("goal.not_found", "goal.tag_not_found", "goal.tag_limit"),
)
async def tag_goal(
    request: Request[Any, Any, Any], goal_id: FromPath[UUID], tag_id: FromPath[UUID]
) -> None:
    """Give a goal a tag; again is harmless."""
    async with writing(request) as tx:
        await service.tag_goal(tx, goal_id, tag_id)


@delete(_TAG, tags=["goals"], responses=documented("goal.not_found"))
async def untag_goal(
    request: Request[Any, Any, Any], goal_id: FromPath[UUID], tag_id: FromPath[UUID]
) -> None:
    """Take a tag off a goal; again is harmless."""
    async with writing(request) as tx:
        await service.untag_goal(tx, goal_id, tag_id)


GOAL_ROUTES: Final = [
    list_goals,
    add_goal,
    get_goal,
    change_goal,
    remove_goal,
    list_goal_tags,
    tag_goal,
    untag_goal,
]
