"""REST: sign-in sessions and one's own account."""

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace

from core.actor import Actor
from core.ids import UserId
from hub.domains.accounts import service
from hub.domains.accounts.schemas import (
    ChangeMe,
    DevelopmentSignIn,
    Me,
    NameSession,
    PickableUser,
    Refresh,
    SignedIn,
    SignInSession,
)
from hub.http.auth import PUBLIC, limited, require_development
from hub.http.deps import acting_as, actor, as_system, reading, resources, sign_ins, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_EDITED_OF_SESSION: Final = ("device_name",)


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
    async with acting_as(request, _named(request, data.user_id)) as tx:
        opened = await service.open_session(tx, lifetime_seconds=lifetime_seconds)
    return service.signed_in(opened, resources(request).token_keys, sign_ins(request).end)


@post(
    "/auth/refresh",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("auth.token_invalid"),
)
async def refresh_tokens(request: Request[Any, Any, Any], data: JSONBody[Refresh]) -> SignedIn:
    """Exchange a refresh token for new tokens.

    The same request again, within ten seconds, gets the same refresh token, in case the answer was
    lost. Any other second use of a refresh token ends the sign-in session.
    """
    house = resources(request)
    async with reading(request) as tx:
        session = await service.find_session(tx, data.refresh_token)
    async with acting_as(request, _named(request, session.user_id)) as tx:
        opened = await service.rotate_session(
            tx,
            session,
            data.refresh_token,
            lifetime_seconds=house.settings.auth.refresh_token_seconds,
            key=house.index_key,
        )
    return service.signed_in(opened, house.token_keys, sign_ins(request).end)


@post("/auth/logout", tags=["accounts"], status_code=204, responses=documented())
async def sign_out(request: Request[Any, Any, Any]) -> None:
    """End the sign-in session of the access token: its tokens work no more, its sockets close."""
    session_id = _current(request)
    async with writing(request) as tx:
        await service.close_session(tx, session_id)
    sign_ins(request).end(str(session_id))


@get("/me/sessions", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_sessions(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[SignInSession]:
    """List where the user is signed in, the newest sign-in first."""
    async with reading(request) as tx:
        return await service.list_sessions(tx, _current(request), limit=limit, cursor=cursor)


@get("/me/sessions/{session_id:uuid}", tags=["accounts"], responses=documented("session.not_found"))
async def get_session(
    request: Request[Any, Any, Any], session_id: FromPath[UUID]
) -> Response[SignInSession]:
    """Return one of the user's sign-in sessions."""
    async with reading(request) as tx:
        session = await service.get_session(tx, _current(request), session_id)
    return tagged(session, edited=_EDITED_OF_SESSION)


@patch(
    "/me/sessions/{session_id:uuid}",
    tags=["accounts"],
    responses=documented("session.not_found", "request.precondition_failed"),
)
async def name_session(
    request: Request[Any, Any, Any],
    session_id: FromPath[UUID],
    data: JSONBody[NameSession],
    if_match: IfMatch = None,
) -> Response[SignInSession]:
    """Name the device of a sign-in session."""
    current = _current(request)
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_session(tx, current, session_id),
        effect=lambda tx: service.name_session(tx, current, session_id, data.device_name),
        edited=_EDITED_OF_SESSION,
    )


@delete(
    "/me/sessions/{session_id:uuid}",
    tags=["accounts"],
    status_code=204,
    responses=documented("session.not_found"),
)
async def remove_session(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> None:
    """End a sign-in session: its tokens work no more, its sockets close within a second."""
    async with writing(request) as tx:
        await service.remove_session(tx, session_id)
    sign_ins(request).end(str(session_id))


@delete("/me/sessions", tags=["accounts"], status_code=204, responses=documented())
async def remove_other_sessions(request: Request[Any, Any, Any]) -> None:
    """End all other sign-in sessions of the user; the one that asks stays."""
    async with writing(request) as tx:
        ended = await service.remove_other_sessions(tx, _current(request))
    for session_id in ended:
        sign_ins(request).end(str(session_id))


@get("/me", tags=["accounts"], responses=documented())
async def get_me(request: Request[Any, Any, Any]) -> Response[Me]:
    """Return the signed-in user."""
    async with reading(request) as tx:
        return tagged(await service.get_me(tx, resources(request).cipher))


@patch("/me", tags=["accounts"], responses=documented("request.precondition_failed"))
async def change_me(
    request: Request[Any, Any, Any], data: JSONBody[ChangeMe], if_match: IfMatch = None
) -> Response[Me]:
    """Change the signed-in user; absent fields stay."""
    cipher = resources(request).cipher
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_me(tx, cipher),
        effect=lambda tx: service.change_me(tx, data, cipher),
    )


def _named(request: Request[Any, Any, Any], user_id: UUID) -> Actor:
    return replace(actor(request), kind="user", user_id=UserId(user_id))


def _current(request: Request[Any, Any, Any]) -> UUID:
    return UUID(actor(request).session_id)


ACCOUNT_ROUTES: Final = [
    list_development_users,
    sign_in_for_development,
    refresh_tokens,
    sign_out,
    list_sessions,
    get_session,
    name_session,
    remove_session,
    remove_other_sessions,
    get_me,
    change_me,
]
