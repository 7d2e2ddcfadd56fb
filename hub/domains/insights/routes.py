"""REST: insights."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, QueryParameter

from hub.domains.insights import service
from hub.domains.insights.schemas import Insight, InsightKind
from hub.http.deps import reading, writing
from hub.http.etags import tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/insights/{insight_id:uuid}"


@get("/insights", tags=["insights"], responses=documented("request.cursor_invalid"))
async def list_insights(
    request: Request[Any, Any, Any],
    kind: Annotated[
        InsightKind | None, QueryParameter(description="Only insights of this kind.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Insight]:
    """List what the hub has noticed and one has not dismissed, the newest first.

    By rules, without artificial intelligence: each Monday at 06:00 of the account's time zone, when
    a goal is set, and when one has had to do with somebody other than by messages. Live:
    `insight.created` on `insights:{user}`.
    """
    async with reading(request) as tx:
        return await service.list_insights(tx, kind=kind, limit=limit, cursor=cursor)


@get(_PATH, tags=["insights"], responses=documented("insight.not_found"))
async def get_insight(
    request: Request[Any, Any, Any], insight_id: FromPath[UUID]
) -> Response[Insight]:
    """Return an insight."""
    async with reading(request) as tx:
        return tagged(await service.get_insight(tx, insight_id))


@post(
    f"{_PATH}/dismiss",
    tags=["insights"],
    status_code=200,
    responses=documented("insight.not_found"),
)
async def dismiss_insight(
    request: Request[Any, Any, Any], insight_id: FromPath[UUID]
) -> Response[Insight]:
    """Show an insight no more; the same is not told again. Again is harmless."""
    async with writing(request) as tx:
        return tagged(await service.dismiss(tx, insight_id))


@post(f"{_PATH}/act", tags=["insights"], status_code=200, responses=documented("insight.not_found"))
async def act_on_insight(
    request: Request[Any, Any, Any], insight_id: FromPath[UUID]
) -> Response[Insight]:
    """Note that one has done something about an insight. Again is harmless."""
    async with writing(request) as tx:
        return tagged(await service.act_on(tx, insight_id))


INSIGHT_ROUTES: Final = [list_insights, get_insight, dismiss_insight, act_on_insight]
