"""REST: how one's relationships fare."""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath, QueryParameter

from hub.domains.relationships import service
from hub.domains.relationships.schemas import (
    Band,
    HealthItem,
    HealthSeries,
    RelationshipHealth,
    Snapshot,
)
from hub.http.deps import reading
from hub.http.etags import tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_Since = Annotated[
    date | None, QueryParameter(description="The first day; 90 days before the last one.")
]
_Until = Annotated[date | None, QueryParameter(description="The last day; today.")]
_Points = Annotated[int, QueryParameter(ge=1, le=400, description="Points at most.")]
_Band = Annotated[Band | None, QueryParameter(description="Only relationships of this band.")]
_ContactIds = Annotated[
    list[UUID] | None,
    QueryParameter(
        name="contact_id",
        max_items=200,
        description="Only with these contacts, as a list of contacts shows them. Repeatable.",
    ),
]


@get("/health", tags=["relationships"], responses=documented("request.cursor_invalid"))
async def list_health(
    request: Request[Any, Any, Any],
    limit: Limit = 50,
    cursor: Cursor = None,
    band: _Band = None,
    contact_ids: _ContactIds = None,
) -> Page[HealthItem]:
    """List how one's relationships fare, the weakest first."""
    async with reading(request) as tx:
        return await service.list_health(
            tx, band=band, contact_ids=contact_ids, limit=limit, cursor=cursor
        )


@get(
    "/contacts/{contact_id:uuid}/health",
    tags=["relationships"],
    responses=documented("contact.not_found", "contact.merged", "health.unknown"),
)
async def get_health(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID]
) -> Response[RelationshipHealth]:
    """Return how the relationship with a contact fares, with what its score is made of."""
    async with reading(request) as tx:
        return tagged(await service.get_health(tx, contact_id))


@get(
    "/contacts/{contact_id:uuid}/health/history",
    tags=["relationships"],
    responses=documented("contact.not_found", "contact.merged", "request.cursor_invalid"),
)
async def list_health_history(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Snapshot]:
    """List all that is kept of a relationship's scores, the newest day first.

    Days on which the score stayed as it was have no entry. Two years are kept. Charts ask for
    `/health/series`.
    """
    async with reading(request) as tx:
        return await service.list_history(tx, contact_id, limit=limit, cursor=cursor)


@get(
    "/contacts/{contact_id:uuid}/health/series",
    tags=["relationships"],
    responses=documented("contact.not_found", "contact.merged"),
)
async def get_health_series(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    since: _Since = None,
    until: _Until = None,
    points: _Points = 90,
) -> HealthSeries:
    """Return a relationship's scores at even steps, the oldest first: what a chart draws.

    Each point has the score at the end of its step, and the lowest and the highest within it, also
    where nothing changed. There are none before the first score that is known; a range in which
    there was none has no points. The days themselves are in `/health/history`.
    """
    async with reading(request) as tx:
        return await service.get_series(tx, contact_id, since=since, until=until, points_max=points)


RELATIONSHIP_ROUTES: Final = [list_health, get_health, list_health_history, get_health_series]
