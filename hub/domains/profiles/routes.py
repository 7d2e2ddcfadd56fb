"""REST: one's own privacy settings."""

from typing import Any, Final

from litestar import Request, Response, get, patch
from litestar.params import JSONBody

from hub.domains.profiles import service
from hub.domains.profiles.schemas import ChangePrivacy, PrivacySettings
from hub.http.deps import reading
from hub.http.etags import IfMatch, change, tagged
from hub.http.problems import documented


@get("/me/privacy", tags=["accounts"], responses=documented())
async def get_privacy(request: Request[Any, Any, Any]) -> Response[PrivacySettings]:
    """Return what one lets the hub do by itself."""
    async with reading(request) as tx:
        return tagged(await service.get_privacy(tx))


@patch("/me/privacy", tags=["accounts"], responses=documented("request.precondition_failed"))
async def change_privacy(
    request: Request[Any, Any, Any], data: JSONBody[ChangePrivacy], if_match: IfMatch = None
) -> Response[PrivacySettings]:
    """Change one's privacy settings; absent fields stay."""
    return await change(
        request,
        if_match,
        present=service.get_privacy,
        effect=lambda tx: service.change_privacy(tx, data),
    )


PROFILE_ROUTES: Final = [get_privacy, change_privacy]
