"""REST: the timeline of one's interactions, the search in it, and what one notes down oneself."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from core.db import Tx
from hub.domains.interactions import service
from hub.domains.interactions.schemas import (
    ChangeInteraction,
    Direction,
    Hits,
    InteractionDetail,
    InteractionFilter,
    InteractionKind,
    InteractionTimeline,
    WriteInteraction,
)
from hub.http.auth import limited
from hub.http.deps import keys_of, reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_LISTED: Final = ("request.cursor_invalid", "contact.not_found", "contact.merged")
_WRITTEN: Final = ("contact.not_found", "contact.merged", "auth.forbidden")
_WORDS: Final = 'Words that all stand in it; `"a phrase"`, `or` and `-without` as in web searches.'
_Text = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=200, pattern=r"^[^\u0000]*$", description=_WORDS),
]
_Wanted = Annotated[
    str,
    QueryParameter(
        name="q", min_length=1, max_length=200, pattern=r"^[^\u0000]*$", description=_WORDS
    ),
]
_Since = Annotated[
    datetime | None, QueryParameter(description="Not before this time, which has a zone.")
]
_Until = Annotated[datetime | None, QueryParameter(description="Before this time.")]
_OfContact = Annotated[
    UUID | None,
    QueryParameter(name="contact_id", description="With this contact, alone or among others."),
]
_Counted = Annotated[
    bool,
    QueryParameter(name="count", description="Also say how many there are, up to 10,000."),
]
_HitLimit = Annotated[int, QueryParameter(ge=1, le=50, description="Items per page.")]


@get("/interactions", tags=["interactions"], responses=documented(*_LISTED))
async def list_interactions(
    request: Request[Any, Any, Any],
    *,
    since: _Since = None,
    until: _Until = None,
    contact_id: _OfContact = None,
    kind: FromQuery[InteractionKind | None] = None,
    direction: FromQuery[Direction | None] = None,
    text: _Text = None,
    counted: _Counted = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> InteractionTimeline:
    """List one's interactions with people, the latest first."""
    wanted = InteractionFilter(
        since=since, until=until, contact_id=contact_id, kind=kind, direction=direction, text=text
    )
    async with reading(request) as tx:
        return await service.list_interactions(
            tx, wanted, limit=limit, cursor=cursor, counted=counted
        )


@get(
    "/search/interactions",
    opt=limited("search"),
    tags=["interactions"],
    responses=documented(*_LISTED),
)
async def search_interactions(
    request: Request[Any, Any, Any],
    *,
    q: _Wanted,
    since: _Since = None,
    until: _Until = None,
    contact_id: _OfContact = None,
    kind: FromQuery[InteractionKind | None] = None,
    direction: FromQuery[Direction | None] = None,
    counted: _Counted = False,
    limit: _HitLimit = 20,
    cursor: Cursor = None,
) -> Hits:
    """Find interactions by words of subject, summary and content, the latest first."""
    wanted = InteractionFilter(
        since=since, until=until, contact_id=contact_id, kind=kind, direction=direction, text=q
    )
    async with reading(request) as tx:
        return await service.search(tx, wanted, limit=limit, cursor=cursor, counted=counted)


@get(
    "/interactions/{interaction_id:uuid}",
    tags=["interactions"],
    responses=documented("interaction.not_found"),
)
async def get_interaction(
    request: Request[Any, Any, Any], interaction_id: FromPath[UUID]
) -> Response[InteractionDetail]:
    """Return an interaction with its words and with whoever was part of it."""
    async with reading(request) as tx:
        found = await service.get_interaction(tx, interaction_id, keys_of(request).cipher)
        return tagged(found)


@post(
    "/interactions",
    tags=["interactions"],
    responses={
        200: ResponseSpec(InteractionDetail, description="The `external_id` was noted before"),
        **documented(*_WRITTEN, *KEYED),
    },
)
async def write_interaction(
    request: Request[Any, Any, Any],
    data: JSONBody[WriteInteraction],
    idempotency_key: OptionalKey = None,
) -> Response[InteractionDetail]:
    """Note down an interaction: 201 and the new one, 200 and the old one for a known `external_id`.

    A private one is shown to the person alone, not to API keys.
    """

    async def effect(tx: Tx) -> Answer[InteractionDetail]:
        noted, is_new = await service.write_interaction(tx, data, keys_of(request))
        return Answer(noted, 201 if is_new else 200, f"/v1/interactions/{noted.id}")

    return await once(request, idempotency_key, effect)


@patch(
    "/interactions/{interaction_id:uuid}",
    tags=["interactions"],
    responses=documented(
        "interaction.not_found",
        "interaction.not_manual",
        "request.precondition_failed",
        *_WRITTEN,
    ),
)
async def change_interaction(
    request: Request[Any, Any, Any],
    interaction_id: FromPath[UUID],
    data: JSONBody[ChangeInteraction],
    if_match: IfMatch = None,
) -> Response[InteractionDetail]:
    """Change what one noted down; of what a source told, whose it is and whether it is private."""
    keys = keys_of(request)
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_interaction(tx, interaction_id, keys.cipher),
        effect=lambda tx: service.change_interaction(tx, interaction_id, data, keys),
    )


@delete(
    "/interactions/{interaction_id:uuid}",
    tags=["interactions"],
    responses=documented("interaction.not_found", "interaction.not_manual"),
)
async def remove_interaction(
    request: Request[Any, Any, Any], interaction_id: FromPath[UUID]
) -> None:
    """Take away what one noted down; what a source told can only be made private."""
    async with writing(request) as tx:
        await service.remove_interaction(tx, interaction_id)


INTERACTION_ROUTES: Final = [
    list_interactions,
    search_interactions,
    get_interaction,
    write_interaction,
    change_interaction,
    remove_interaction,
]
