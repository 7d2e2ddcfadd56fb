"""REST: one's own contact card."""

from typing import Any, Final

from litestar import Request, get, put
from litestar.params import JSONBody

from hub.domains.cards import service
from hub.domains.cards.schemas import Card
from hub.http.deps import reading, resources, writing
from hub.http.problems import documented


@get("/me/card", tags=["touches"], responses=documented())
async def get_own_card(request: Request[Any, Any, Any]) -> Card:
    """Return what goes over at a touch: one's card, or while there is none the account's name."""
    async with reading(request) as tx:
        return await service.get_own(tx, resources(request).cipher)


@put("/me/card", tags=["touches"], responses=documented())
async def put_own_card(request: Request[Any, Any, Any], data: JSONBody[Card]) -> Card:
    """Replace one's card; whoever has got an earlier one keeps that."""
    async with writing(request) as tx:
        await service.put_own(tx, data, resources(request).cipher)
    return data


CARD_ROUTES: Final = [get_own_card, put_own_card]
