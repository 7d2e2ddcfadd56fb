"""REST: ways to somebody."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from core.db import Tx
from hub.domains.paths import service
from hub.domains.paths.schemas import ChangePath, FindPath, KeepPath, Path, PathFound, PathStatus
from hub.http.auth import limited
from hub.http.deps import reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_PATH: Final = "/paths/{path_id:uuid}"
_SOUGHT: Final = ("path.target_missing", "path.target_unknown")


@post(
    "/paths/find",
    opt=limited("ai"),
    tags=["paths"],
    status_code=200,
    responses=documented(*_SOUGHT),
)
async def find_path(request: Request[Any, Any, Any], data: JSONBody[FindPath]) -> PathFound:
    """Find the shortest way to somebody over at most six hops, without keeping it.

    It leads over whom one knows, over one's own links of contacts, and over people who are here
    and have consented to `introductions`; of others' contacts no name is shown. A hop needs a
    strength of 0.1; the confidence is the product of all strengths. An answer may be an hour old,
    but what was taken back is gone from it at once.
    """
    async with writing(request) as tx:
        return await service.find_path(tx, data)


@post(
    "/paths",
    opt=limited("ai"),
    tags=["paths"],
    responses=documented("goal.not_found", "path.limit", "path.none", *_SOUGHT, *KEYED),
)
async def keep_path(
    request: Request[Any, Any, Any],
    data: JSONBody[KeepPath],
    idempotency_key: OptionalKey = None,
) -> Response[Path]:
    """Find the shortest way to somebody and keep it, perhaps for a goal."""

    async def effect(tx: Tx) -> Answer[Path]:
        return Answer(await service.keep_path(tx, data))

    return await once(request, idempotency_key, effect)


@get("/paths", tags=["paths"], responses=documented("request.cursor_invalid"))
async def list_paths(
    request: Request[Any, Any, Any],
    status: Annotated[
        PathStatus | None, QueryParameter(description="Only paths in this state.")
    ] = None,
    goal_id: Annotated[UUID | None, QueryParameter(description="Only paths for this goal.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Path]:
    """List the paths that one keeps, the newest first."""
    async with reading(request) as tx:
        return await service.list_paths(
            tx, status=status, goal_id=goal_id, limit=limit, cursor=cursor
        )


@get(_PATH, tags=["paths"], responses=documented("path.not_found"))
async def get_path(request: Request[Any, Any, Any], path_id: FromPath[UUID]) -> Response[Path]:
    """Return a path that one keeps."""
    async with reading(request) as tx:
        return tagged(await service.get_path(tx, path_id), edited=("status", "goal_id"))


@patch(
    _PATH,
    tags=["paths"],
    responses=documented("path.not_found", "goal.not_found", "request.precondition_failed"),
)
async def change_path(
    request: Request[Any, Any, Any],
    path_id: FromPath[UUID],
    data: JSONBody[ChangePath],
    if_match: IfMatch = None,
) -> Response[Path]:
    """Say how far one has come with a path, or for which goal it is."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_path(tx, path_id),
        effect=lambda tx: service.change_path(tx, path_id, data),
        edited=("status", "goal_id"),
    )


@delete(_PATH, tags=["paths"], responses=documented("path.not_found"))
async def remove_path(request: Request[Any, Any, Any], path_id: FromPath[UUID]) -> None:
    """Keep a path no longer."""
    async with writing(request) as tx:
        await service.remove_path(tx, path_id)


PATH_ROUTES: Final = [find_path, keep_path, list_paths, get_path, change_path, remove_path]
