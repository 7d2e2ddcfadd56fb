"""REST: what one's contacts care about."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from hub.domains.interests import service
from hub.domains.interests.schemas import Interest, ListedInterest, PutInterest, Sign, Support
from hub.http.deps import reading, writing
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/contacts/{contact_id:uuid}/interests"
_ONE: Final = ("contact.not_found", "contact.merged")
# PostgreSQL's texts have no such character.
_PLAIN: Final = r"^[^\u0000]*$"


@get("/interests", tags=["contacts"], responses=documented("request.cursor_invalid"))
async def list_interests(
    request: Request[Any, Any, Any],
    category: Annotated[
        str,
        QueryParameter(min_length=1, max_length=50, pattern=_PLAIN, description="Of what kind."),
    ],
    topic: Annotated[
        str | None,
        QueryParameter(max_length=100, pattern=_PLAIN, description="Only in this very thing."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ListedInterest]:
    """List who of one's contacts cares about something of a category, the surest first."""
    async with reading(request) as tx:
        return await service.list_of_category(tx, category, topic, limit=limit, cursor=cursor)


@get(_PATH, tags=["contacts"], responses=documented(*_ONE, "request.cursor_invalid"))
async def list_interests_of_contact(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Interest]:
    """List what a contact cares about, the surest first."""
    async with reading(request) as tx:
        return await service.list_of_contact(tx, contact_id, limit=limit, cursor=cursor)


@post(_PATH, tags=["contacts"], status_code=200, responses=documented(*_ONE))
async def put_interest(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], data: JSONBody[PutInterest]
) -> Interest:
    """Say what a contact cares about, and how sure that is; without signs it fades from there.

    What is known is known once: said again, this replaces how sure it is.
    """
    async with writing(request) as tx:
        return await service.put(tx, contact_id, data)


@delete(
    f"{_PATH}/{{interest_id:uuid}}",
    tags=["contacts"],
    status_code=204,
    responses=documented(*_ONE, "contact.interest_not_found"),
)
async def remove_interest(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], interest_id: FromPath[UUID]
) -> None:
    """Forget that a contact cares about something."""
    async with writing(request) as tx:
        await service.remove(tx, contact_id, interest_id)


@get(
    f"{_PATH}/{{interest_id:uuid}}/evidence",
    tags=["contacts"],
    responses=documented(*_ONE, "contact.interest_not_found", "request.cursor_invalid"),
)
async def list_interest_evidence(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    interest_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Support]:
    """List the interactions that an interest was seen in, the latest first."""
    async with reading(request) as tx:
        return await service.list_support(tx, contact_id, interest_id, limit=limit, cursor=cursor)


@put(
    f"{_PATH}/{{interest_id:uuid}}/evidence/{{interaction_id:uuid}}",
    tags=["contacts"],
    responses=documented(*_ONE, "contact.interest_not_found", "interaction.not_found"),
)
async def put_interest_evidence(
    request: Request[Any, Any, Any],
    contact_id: FromPath[UUID],
    interest_id: FromPath[UUID],
    interaction_id: FromPath[UUID],
    data: JSONBody[Sign],
) -> Interest:
    """Say in which interaction an interest was seen, which makes it surer, once."""
    async with writing(request) as tx:
        return await service.see(tx, contact_id, interest_id, interaction_id, data.weight)


INTEREST_ROUTES: Final = [
    list_interests,
    list_interests_of_contact,
    put_interest,
    remove_interest,
    list_interest_evidence,
    put_interest_evidence,
]
