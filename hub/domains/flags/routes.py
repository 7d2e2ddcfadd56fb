"""REST: the flags that are on for oneself; flags and cohorts for administrators."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, put
from litestar.params import FromPath, JSONBody, PathParameter

from core.db import Tx
from hub.domains.flags import service
from hub.domains.flags.schemas import (
    NAME_PATTERN,
    ChangeFlag,
    Cohort,
    CohortMember,
    Flag,
    OwnFlags,
    PutCohort,
    PutFlag,
)
from hub.http.administering import administering
from hub.http.auth import user_id_of
from hub.http.deps import WRITES, reading
from hub.http.etags import IfMatch, change, tagged
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented

_Name = Annotated[str, PathParameter(pattern=NAME_PATTERN)]
_PATH: Final = "/admin/flags/{key:str}"
_COHORT: Final = "/admin/cohorts/{name:str}"
_MEMBER: Final = f"{_COHORT}/members/{{user_id:uuid}}"


@get("/flags", tags=["flags"], responses=documented())
async def list_own_flags(request: Request[Any, Any, Any]) -> OwnFlags:
    """List the feature flags that are on for oneself.

    Ask again, with `If-None-Match`, when `flags.changed`, `cohort.joined` or `cohort.left` comes.
    """
    async with reading(request) as tx:
        return await service.list_on(tx, user_id_of(request))


@get(
    "/admin/flags",
    tags=["flags"],
    responses=documented("auth.forbidden", "request.cursor_invalid"),
)
async def list_flags(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Flag]:
    """List all feature flags by their keys. For administrators."""
    async with _administering(request) as tx:
        return await service.list_flags(tx, limit=limit, cursor=cursor)


@get(_PATH, tags=["flags"], responses=documented("auth.forbidden", "flag.not_found"))
async def get_flag(request: Request[Any, Any, Any], key: _Name) -> Response[Flag]:
    """Return a feature flag. For administrators."""
    async with _administering(request) as tx:
        return tagged(await service.get_flag(tx, key))


@put(
    _PATH,
    tags=["flags"],
    responses=documented(
        "auth.forbidden", "cohort.not_found", "flag.limit", "request.precondition_failed"
    ),
)
async def put_flag(
    request: Request[Any, Any, Any],
    key: _Name,
    data: JSONBody[PutFlag],
    if_match: IfMatch = None,
) -> Response[Flag]:
    """Make a feature flag or replace it; within a second that holds everywhere.

    For administrators.
    """
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_flag(tx, key),
        effect=lambda tx: service.put_flag(tx, key, data),
        unit=_administering,
    )


@patch(
    _PATH,
    tags=["flags"],
    responses=documented(
        "auth.forbidden", "flag.not_found", "cohort.not_found", "request.precondition_failed"
    ),
)
async def change_flag(
    request: Request[Any, Any, Any],
    key: _Name,
    data: JSONBody[ChangeFlag],
    if_match: IfMatch = None,
) -> Response[Flag]:
    """Switch a feature flag, or change its percentage or cohorts. For administrators."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_flag(tx, key),
        effect=lambda tx: service.change_flag(tx, key, data),
        unit=_administering,
    )


@delete(_PATH, tags=["flags"], responses=documented("auth.forbidden", "flag.not_found"))
async def remove_flag(request: Request[Any, Any, Any], key: _Name) -> None:
    """Remove a feature flag, which turns it off for everybody. For administrators."""
    async with _administering(request) as tx:
        await service.remove_flag(tx, key)


@get(
    "/admin/cohorts",
    tags=["flags"],
    responses=documented("auth.forbidden", "request.cursor_invalid"),
)
async def list_cohorts(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Cohort]:
    """List the cohorts by their names. For administrators."""
    async with _administering(request) as tx:
        return await service.list_cohorts(tx, limit=limit, cursor=cursor)


@get(_COHORT, tags=["flags"], responses=documented("auth.forbidden", "cohort.not_found"))
async def get_cohort(request: Request[Any, Any, Any], name: _Name) -> Response[Cohort]:
    """Return a cohort. For administrators."""
    async with _administering(request) as tx:
        return tagged(await service.get_cohort(tx, name))


@put(
    _COHORT,
    tags=["flags"],
    responses=documented(
        "auth.forbidden", "cohort.not_found", "cohort.limit", "request.precondition_failed"
    ),
)
async def put_cohort(
    request: Request[Any, Any, Any],
    name: _Name,
    data: JSONBody[PutCohort],
    if_match: IfMatch = None,
) -> Response[Cohort]:
    """Make a cohort, or replace its tiers and roles; its members stay. For administrators."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_cohort(tx, name),
        effect=lambda tx: service.put_cohort(tx, name, data),
        unit=_administering,
    )


@delete(
    _COHORT,
    tags=["flags"],
    responses=documented("auth.forbidden", "cohort.not_found", "cohort.in_use"),
)
async def remove_cohort(request: Request[Any, Any, Any], name: _Name) -> None:
    """Remove a cohort that no feature flag names. For administrators."""
    async with _administering(request) as tx:
        await service.remove_cohort(tx, name)


@get(
    f"{_COHORT}/members",
    # Administrators who look at what is not theirs leave an entry.
    opt=WRITES,
    tags=["flags"],
    responses=documented("auth.forbidden", "cohort.not_found", "request.cursor_invalid"),
)
async def list_cohort_members(
    request: Request[Any, Any, Any],
    name: _Name,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CohortMember]:
    """List the users who were put into a cohort. For administrators."""
    async with _administering(request) as tx:
        return await service.list_members(tx, name, limit=limit, cursor=cursor)


@put(
    _MEMBER,
    tags=["flags"],
    status_code=204,
    responses=documented("auth.forbidden", "cohort.not_found"),
)
async def add_cohort_member(
    request: Request[Any, Any, Any], name: _Name, user_id: FromPath[UUID]
) -> None:
    """Put a user into a cohort; again is harmless. For administrators."""
    async with _administering(request) as tx:
        await service.add_member(tx, name, user_id)


@delete(_MEMBER, tags=["flags"], responses=documented("auth.forbidden", "cohort.not_found"))
async def remove_cohort_member(
    request: Request[Any, Any, Any], name: _Name, user_id: FromPath[UUID]
) -> None:
    """Take a user out of a cohort; again is harmless. For administrators."""
    async with _administering(request) as tx:
        await service.remove_member(tx, name, user_id)


def _administering(
    request: Request[Any, Any, Any], *, serializable: bool = False
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction over all flags, with the administrator as its actor."""
    return administering(request, over_all=True, serializable=serializable)


FLAG_ROUTES: Final = [
    list_own_flags,
    list_flags,
    get_flag,
    put_flag,
    change_flag,
    remove_flag,
    list_cohorts,
    get_cohort,
    put_cohort,
    remove_cohort,
    list_cohort_members,
    add_cohort_member,
    remove_cohort_member,
]
