"""REST: the audit log, for administrators whole, for everybody as far as it concerns them."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.params import FromQuery, QueryParameter

from hub.domains.audit import service
from hub.domains.audit.schemas import AuditAction, AuditEntry, AuditFilter, OwnAuditEntry
from hub.http.administering import administering
from hub.http.deps import WRITES, reading
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_Name = Annotated[str | None, QueryParameter(max_length=128, pattern=r"^[ -~]+$")]


@get(
    "/admin/audit",
    # To have searched is an entry too.
    opt=WRITES,
    tags=["admin"],
    responses=documented("auth.forbidden", "request.cursor_invalid"),
)
async def search_audit(
    request: Request[Any, Any, Any],
    *,
    actor_id: FromQuery[UUID | None] = None,
    owner_id: FromQuery[UUID | None] = None,
    action: FromQuery[AuditAction | None] = None,
    resource_type: _Name = None,
    resource_id: _Name = None,
    request_id: _Name = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """Search who did what, the latest first; each search is an entry itself. For administrators."""
    wanted = AuditFilter(
        actor_id=actor_id,
        owner_id=owner_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        request_id=request_id,
        since=since,
        until=until,
    )
    async with administering(request) as tx:
        return await service.search(tx, wanted, limit=limit, cursor=cursor)


@get("/me/audit", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_own_audit(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnAuditEntry]:
    """List what happened in one's account: by oneself, by administrators and by the hub."""
    async with reading(request) as tx:
        return await service.list_own(tx, limit=limit, cursor=cursor)


AUDIT_ROUTES: Final = [search_audit, list_own_audit]
