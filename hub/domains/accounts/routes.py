"""REST: sign-in sessions and one's own account."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, get, patch, post
from litestar.params import JSONBody
from msgspec.structs import replace

from core.actor import Actor
from core.db import begin
from core.errors import DomainError
from core.ids import UserId
from hub.domains.accounts import service
from hub.domains.accounts.schemas import (
    ChangeMe,
    DevelopmentSignIn,
    Me,
    PickableUser,
    Refresh,
    SignedIn,
)
from hub.http.auth import PUBLIC, limited, require_development
from hub.http.deps import actor, as_system, reading, resources, sign_ins, writing
from hub.http.page import Cursor, Limit, Page
from hub.http.problems import documented


@get(
    "/auth/development/users",
    opt=PUBLIC,
    security=[{}],
    tags=["accounts"],
    responses=documented("auth.development_only", "request.cursor_invalid"),
)
async def list_development_users(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[PickableUser]:
    """List the users to sign in as; in development mode, from this machine."""
    require_development(request)
    async with as_system(request, read_only=True) as tx:
        return await service.list_users(tx, limit=limit, cursor=cursor)


@post(
    "/auth/development/sign-in",
    opt=PUBLIC,
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("auth.development_only", "request.not_found"),
)
async def sign_in_for_development(
    request: Request[Any, Any, Any], data: JSONBody[DevelopmentSignIn]
) -> SignedIn:
    """Sign in as any user, without proof; in development mode, from this machine."""
    require_development(request)
    lifetime_seconds = resources(request).settings.auth.refresh_token_seconds
    async with begin(resources(request).api, _acting_as(request, data.user_id)) as tx:
        opened = await service.open_session(tx, lifetime_seconds=lifetime_seconds)
    return service.signed_in(opened, resources(request).token_keys)


@post(
    "/auth/refresh",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented(),
)
async def refresh(request: Request[Any, Any, Any], data: JSONBody[Refresh]) -> SignedIn:
    """Exchange a refresh token for new tokens; using one twice ends the sign-in session."""
    house = resources(request)
    async with begin(house.api, actor(request), read_only=True) as tx:
        session = await service.find_session(tx, data.refresh_token)
    async with begin(house.api, _acting_as(request, session.user_id)) as tx:
        opened = await service.rotate_session(
            tx, session, lifetime_seconds=house.settings.auth.refresh_token_seconds
        )
    if opened is None:
        raise DomainError("auth.token_invalid")
    return service.signed_in(opened, resources(request).token_keys)


@post("/auth/logout", tags=["accounts"], status_code=204, responses=documented())
async def logout(request: Request[Any, Any, Any]) -> None:
    """End the sign-in session of the access token: its tokens work no more, its sockets close."""
    session_id = UUID(actor(request).session_id)
    async with writing(request) as tx:
        await service.close_session(tx, session_id)
    sign_ins(request).end(str(session_id))


@get("/me", tags=["accounts"], responses=documented())
async def get_me(request: Request[Any, Any, Any]) -> Me:
    """Return the signed-in user."""
    async with reading(request) as tx:
        return await service.get_me(tx, resources(request).cipher)


@patch("/me", tags=["accounts"], responses=documented())
async def change_me(request: Request[Any, Any, Any], data: JSONBody[ChangeMe]) -> Me:
    """Change the signed-in user; absent fields stay."""
    async with writing(request) as tx:
        return await service.change_me(tx, data, resources(request).cipher)


def _acting_as(request: Request[Any, Any, Any], user_id: UUID) -> Actor:
    return replace(actor(request), kind="user", user_id=UserId(user_id))


ACCOUNT_ROUTES: Final = [
    list_development_users,
    sign_in_for_development,
    refresh,
    logout,
    get_me,
    change_me,
]
