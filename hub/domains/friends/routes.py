"""REST: friends, and whom one has blocked."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, delete, get, put
from litestar.params import FromPath

from hub.domains.friends import service
from hub.domains.friends.schemas import Block, Friend
from hub.http.deps import reading, writing
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented


@get("/friends", tags=["friends"], responses=documented("request.cursor_invalid"))
async def list_friends(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Friend]:
    """List one's friends, the newest first."""
    async with reading(request) as tx:
        return await service.list_friends(tx, limit=limit, cursor=cursor)


@delete("/friends/{friend_id:uuid}", tags=["friends"], responses=documented("friend.not_found"))
async def end_friendship(request: Request[Any, Any, Any], friend_id: FromPath[UUID]) -> None:
    """End a friendship, on both sides; conversation and cards stay."""
    async with writing(request) as tx:
        await service.end_friendship(tx, friend_id)


@get("/blocks", tags=["friends"], responses=documented("request.cursor_invalid"))
async def list_blocks(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Block]:
    """List whom one has blocked, the latest first."""
    async with reading(request) as tx:
        return await service.list_blocks(tx, limit=limit, cursor=cursor)


@put(
    "/blocks/{user_id:uuid}",
    tags=["friends"],
    status_code=204,
    responses=documented("friend.not_found"),
)
async def block_user(request: Request[Any, Any, Any], user_id: FromPath[UUID]) -> None:
    """Block a user, who is not told: touches exchange nothing, a friendship ends."""
    async with writing(request) as tx:
        await service.block(tx, user_id)


@delete("/blocks/{user_id:uuid}", tags=["friends"], responses=documented())
async def unblock_user(request: Request[Any, Any, Any], user_id: FromPath[UUID]) -> None:
    """Take a block back."""
    async with writing(request) as tx:
        await service.unblock(tx, user_id)


FRIEND_ROUTES: Final = [list_friends, end_friendship, list_blocks, block_user, unblock_user]
