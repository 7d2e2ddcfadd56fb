"""REST: what one lets one's data be used for."""

from typing import Any, Final

from litestar import Request, Response, get, put
from litestar.params import FromPath, JSONBody

from hub.domains.consents import service
from hub.domains.consents.schemas import Consent, Decide, Decision, Purpose
from hub.http.deps import reading
from hub.http.etags import IfMatch, change, tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented


@get("/me/consents", tags=["accounts"], responses=documented())
async def list_consents(request: Request[Any, Any, Any]) -> list[Consent]:
    """List every purpose, the words that ask for it, and what one has said."""
    async with reading(request) as tx:
        return await service.list_own(tx)


@get("/me/consents/{purpose:str}", tags=["accounts"], responses=documented())
async def get_consent(
    request: Request[Any, Any, Any], purpose: FromPath[Purpose]
) -> Response[Consent]:
    """Return one purpose and what one has said about it."""
    async with reading(request) as tx:
        return tagged(await service.get_own(tx, purpose))


@put(
    "/me/consents/{purpose:str}",
    tags=["accounts"],
    responses=documented("consent.text_outdated", "request.precondition_failed"),
)
async def decide_consent(
    request: Request[Any, Any, Any],
    purpose: FromPath[Purpose],
    data: JSONBody[Decide],
    if_match: IfMatch = None,
) -> Response[Consent]:
    """Grant or withdraw a consent; it holds everywhere from the answer on. Again is harmless."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_own(tx, purpose),
        effect=lambda tx: service.decide(tx, purpose, data),
    )


@get("/me/consent-history", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_consent_history(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Decision]:
    """List what one has decided, the latest first; nothing is ever taken out."""
    async with reading(request) as tx:
        return await service.list_history(tx, limit=limit, cursor=cursor)


CONSENT_ROUTES: Final = [list_consents, get_consent, decide_consent, list_consent_history]
