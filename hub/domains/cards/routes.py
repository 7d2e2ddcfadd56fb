"""REST: one's own contact card."""

from typing import Any, Final

from litestar import Request, Response, get, put
from litestar.params import JSONBody

from core.db import Tx
from hub.domains.cards import service
from hub.domains.cards.schemas import Card
from hub.http.deps import reading, resources
from hub.http.etags import IfMatch, change, tagged
from hub.http.problems import documented


@get("/me/card", tags=["touches"], responses=documented())
async def get_card(request: Request[Any, Any, Any]) -> Response[Card]:
    """Return what goes over at a touch: one's card, or while there is none the account's name."""
    async with reading(request) as tx:
        return tagged(await service.get_own(tx, resources(request).cipher))


@put("/me/card", tags=["touches"], responses=documented("request.precondition_failed"))
async def put_card(
    request: Request[Any, Any, Any], data: JSONBody[Card], if_match: IfMatch = None
) -> Response[Card]:
    """Replace one's card; whoever has got an earlier one keeps that."""
    cipher = resources(request).cipher

    async def replace(tx: Tx) -> Card:
        await service.put_own(tx, data, cipher)
        return data

    return await change(
        request, if_match, present=lambda tx: service.get_own(tx, cipher), effect=replace
    )


CARD_ROUTES: Final = [get_card, put_card]
