"""REST: contacts that are one person."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.contact_merges import service
from hub.domains.contact_merges.schemas import Merge, MergeInto, Suggestion
from hub.domains.contact_moving.schemas import Mover
from hub.http.deps import keys_of, reading, writing
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_ONE = ("contact.not_found", "contact.merged")


@get(
    "/contacts/merge-suggestions", tags=["contacts"], responses=documented("request.cursor_invalid")
)
async def list_suggestions(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Suggestion]:
    """List pairs of contacts that seem to be one person, the likeliest first, and why.

    By addresses, names with company or birthday, and users; from a likelihood of 0.5 on.
    """
    async with reading(request) as tx:
        return await service.suggest(tx, limit=limit, cursor=cursor)


@put(
    "/contacts/{contact_id:uuid}/distinctions/{other_id:uuid}",
    tags=["contacts"],
    status_code=204,
    responses=documented(*_ONE, "contact.merge_with_itself"),
)
async def distinguish(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], other_id: FromPath[UUID]
) -> None:
    """Say that two contacts are two people: they are not suggested again."""
    async with writing(request) as tx:
        await service.distinguish(tx, contact_id, other_id)


@delete(
    "/contacts/{contact_id:uuid}/distinctions/{other_id:uuid}",
    tags=["contacts"],
    status_code=204,
    responses=documented(*_ONE),
)
async def forget_distinction(
    request: Request[Any, Any, Any], contact_id: FromPath[UUID], other_id: FromPath[UUID]
) -> None:
    """Let two contacts be suggested as one again."""
    async with writing(request) as tx:
        await service.forget_distinction(tx, contact_id, other_id)


@get("/contacts/merges", tags=["contacts"], responses=documented("request.cursor_invalid"))
async def list_merges(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Merge]:
    """List what was merged, the latest first, undone or not."""
    async with reading(request) as tx:
        return await service.list_merges(tx, limit=limit, cursor=cursor)


@get(
    "/contacts/merges/{merge_id:uuid}",
    tags=["contacts"],
    responses=documented("contact.merge_not_found"),
)
async def get_merge(request: Request[Any, Any, Any], merge_id: FromPath[UUID]) -> Merge:
    """Return a merge."""
    async with reading(request) as tx:
        return await service.get_merge(tx, merge_id)


def merge_routes(movers: Sequence[Mover]) -> list[HTTPRouteHandler]:
    """Return the routes of merges that move the rows of these."""

    @post(
        "/contacts/{contact_id:uuid}/merge",
        tags=["contacts"],
        responses=documented(*_ONE, "contact.self", "contact.merge_with_itself", *KEYED),
    )
    async def merge_contacts(
        request: Request[Any, Any, Any],
        contact_id: FromPath[UUID],
        data: JSONBody[MergeInto],
        idempotency_key: OptionalKey = None,
    ) -> Response[Merge]:
        """Make another contact part of this one, with all that it has; it can be undone.

        This one keeps what it has, takes what it lacks, and has tags and notes of both.
        """

        async def effect(tx: Tx) -> Answer[Merge]:
            keys = keys_of(request)
            merged = await service.merge(tx, keys, contact_id, data.merged_id, movers)
            return Answer(merged, location=f"/v1/contacts/merges/{merged.id}")

        return await once(request, idempotency_key, effect)

    @post(
        "/contacts/merges/{merge_id:uuid}/undo",
        tags=["contacts"],
        status_code=200,
        responses=documented("contact.merge_not_found", "contact.merge_superseded"),
    )
    async def undo_merge(request: Request[Any, Any, Any], merge_id: FromPath[UUID]) -> Merge:
        """Undo a merge: both contacts are as they were, and keep what happened to them since."""
        async with writing(request) as tx:
            return await service.undo(tx, keys_of(request), merge_id, movers)

    return [
        list_suggestions,
        distinguish,
        forget_distinction,
        list_merges,
        get_merge,
        merge_contacts,
        undo_merge,
    ]
