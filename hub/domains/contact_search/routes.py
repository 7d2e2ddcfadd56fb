"""REST: lists of one's contacts, and the search."""

from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.params import JSONBody, QueryParameter

from hub.domains.contact_search import service
from hub.domains.contacts.schemas import ListedContact, Narrowed, Order, Search, Source, TagCount
from hub.http.deps import keys_of, reading
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

# PostgreSQL's texts have no such character.
_PLAIN: Final = r"^[^\u0000]*$"


@get("/contacts", tags=["contacts"], responses=documented("request.cursor_invalid"))
async def list_contacts(  # noqa: PLR0917  # the parameters of the query, by name
    request: Request[Any, Any, Any],
    order: Annotated[
        Order,
        QueryParameter(
            description=(
                "`recent`: the newest first. `interaction`: by the last one. A cursor belongs to"
                " its order."
            )
        ),
    ] = "recent",
    archived: Annotated[
        bool, QueryParameter(description="Only those that are archived, instead of none.")
    ] = False,
    tag: Annotated[
        str | None, QueryParameter(max_length=50, pattern=_PLAIN, description="Only with it.")
    ] = None,
    company: Annotated[
        str | None,
        QueryParameter(
            max_length=200, pattern=_PLAIN, description="Only of it; without case and accents."
        ),
    ] = None,
    source: Annotated[Source | None, QueryParameter(description="Only from there.")] = None,
    linked: Annotated[
        bool | None, QueryParameter(description="Only those who are users here, or are not.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ListedContact]:
    """List one's contacts, without oneself.

    Names and addresses are searched by POST /v1/contacts/search.
    """
    narrowed = Narrowed(archived=archived, tag=tag, company=company, source=source, linked=linked)
    async with reading(request) as tx:
        return await service.list_contacts(tx, narrowed, order, limit=limit, cursor=cursor)


@post(
    "/contacts/search",
    tags=["contacts"],
    status_code=200,
    responses=documented("request.cursor_invalid"),
)
async def search_contacts(
    request: Request[Any, Any, Any], data: JSONBody[Search]
) -> Page[ListedContact]:
    """Search one's contacts by words, or by an address however it is written."""
    async with reading(request) as tx:
        return await service.search(tx, keys_of(request), data)


@get("/contacts/tags", tags=["contacts"], responses=documented("request.cursor_invalid"))
async def list_tags(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[TagCount]:
    """List the tags of one's contacts and how many have each."""
    async with reading(request) as tx:
        return await service.list_tags(tx, limit=limit, cursor=cursor)


SEARCH_ROUTES: Final = [list_contacts, search_contacts, list_tags]
