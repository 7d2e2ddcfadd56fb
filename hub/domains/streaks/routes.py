"""REST: one's own streaks."""

from typing import Any, Final

from litestar import Request, get

from hub.domains.streaks import service
from hub.domains.streaks.schemas import Streaks
from hub.http.deps import reading
from hub.http.problems import documented


@get("/me/streaks", tags=["achievements"], responses=documented())
async def list_own_streaks(request: Request[Any, Any, Any]) -> Streaks:
    """List one's days in a row: of contact with people, and of being here."""
    async with reading(request) as tx:
        return await service.list_own(tx)


STREAK_ROUTES: Final = [list_own_streaks]
