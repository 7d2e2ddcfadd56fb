"""REST: what one's interactions show of a contact."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.params import FromPath

from hub.domains.intelligence import service
from hub.domains.intelligence.schemas import ContactIntelligence
from hub.http.deps import reading
from hub.http.problems import documented


@get(
    "/contacts/{contact_id:uuid}/intelligence",
    tags=["interactions"],
    responses=documented("contact.not_found", "contact.merged"),
)
async def get_contact_intelligence(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID]
) -> ContactIntelligence:
    """Show how often, over which channels and when one meets a contact, and when next."""
    async with reading(request) as tx:
        return await service.get_intelligence(tx, contact_id)


INTELLIGENCE_ROUTES: Final = [get_contact_intelligence]
