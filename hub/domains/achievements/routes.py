"""REST: what can be achieved, and what one has."""

from typing import Any, Final

from litestar import Request, get

from hub.domains.achievements import service
from hub.domains.achievements.schemas import Achievements, OwnAchievements
from hub.http.deps import reading
from hub.http.problems import documented


@get("/achievements", tags=["achievements"], responses=documented())
async def list_achievements(request: Request[Any, Any, Any]) -> Achievements:
    """List all that can be achieved, with the rules."""
    async with reading(request) as tx:
        return await service.list_all(tx)


@get("/me/achievements", tags=["achievements"], responses=documented())
async def list_own_achievements(request: Request[Any, Any, Any]) -> OwnAchievements:
    """List what one has achieved, and what one has begun, the nearest first.

    Live: `achievement.unlocked` on `achievements:{user}`.
    """
    async with reading(request) as tx:
        return await service.list_own(tx)


ACHIEVEMENT_ROUTES: Final = [list_achievements, list_own_achievements]
