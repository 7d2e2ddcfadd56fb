"""REST: whom the hub reminds of."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get, patch
from litestar.params import FromPath, JSONBody, QueryParameter

from hub.domains.nudges import service
from hub.domains.nudges.schemas import CloseNudge, Nudge, NudgeKind, NudgeStatus
from hub.http.deps import reading
from hub.http.etags import IfMatch, change, tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/alerts/{alert_id:uuid}"
_Status = Annotated[NudgeStatus, QueryParameter(description="Only alerts of this status.")]
_Kind = Annotated[NudgeKind | None, QueryParameter(description="Only alerts of this kind.")]


@get("/alerts", tags=["relationships"], responses=documented("request.cursor_invalid"))
async def list_alerts(
    request: Request[Any, Any, Any],
    limit: Limit = 50,
    cursor: Cursor = None,
    status: _Status = "open",
    kind: _Kind = None,
) -> Page[Nudge]:
    """List whom the hub reminds of, and why, the newest first; open ones unless told otherwise."""
    async with reading(request) as tx:
        return await service.list_nudges(tx, status=status, kind=kind, limit=limit, cursor=cursor)


@get(_PATH, tags=["relationships"], responses=documented("nudge.not_found"))
async def get_alert(request: Request[Any, Any, Any], alert_id: FromPath[UUID]) -> Response[Nudge]:
    """Return an alert."""
    async with reading(request) as tx:
        return tagged(await service.get_nudge(tx, alert_id))


@patch(
    _PATH,
    tags=["relationships"],
    responses=documented("nudge.not_found", "request.precondition_failed"),
)
async def close_alert(
    request: Request[Any, Any, Any],
    alert_id: FromPath[UUID],
    data: JSONBody[CloseNudge],
    if_match: IfMatch = None,
) -> Response[Nudge]:
    """Say what came of an alert; it does not come again for the same occasion."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_nudge(tx, alert_id),
        effect=lambda tx: service.close_nudge(tx, alert_id, data.status),
    )


ALERT_ROUTES: Final = [list_alerts, get_alert, close_alert]
