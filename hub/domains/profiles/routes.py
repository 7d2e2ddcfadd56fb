"""REST: one's own privacy settings."""

from typing import Any, Final

from litestar import Request, get, patch
from litestar.params import JSONBody

from hub.domains.profiles import service
from hub.domains.profiles.schemas import ChangePrivacy, PrivacySettings
from hub.http.deps import reading, writing
from hub.http.problems import documented


@get("/me/privacy", tags=["accounts"], responses=documented())
async def get_privacy(request: Request[Any, Any, Any]) -> PrivacySettings:
    """Return what one lets the hub do by itself."""
    async with reading(request) as tx:
        return await service.get_privacy(tx)


@patch("/me/privacy", tags=["accounts"], responses=documented())
async def change_privacy(
    request: Request[Any, Any, Any], data: JSONBody[ChangePrivacy]
) -> PrivacySettings:
    """Change one's privacy settings; absent fields stay."""
    async with writing(request) as tx:
        return await service.change_privacy(tx, data)


PROFILE_ROUTES: Final = [get_privacy, change_privacy]
