"""REST: API keys of one's own, and service accounts with theirs for administrators."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from core.db import Tx
from hub.domains.api_keys import service
from hub.domains.api_keys.schemas import (
    ApiKey,
    ApiKeyCreated,
    ChangeApiKey,
    NewApiKey,
    NewServiceAccount,
    ServiceAccount,
)
from hub.http.administering import administering
from hub.http.auth import user_id_of
from hub.http.deps import WRITES, reading, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented
from hub.http.recency import RECENT

_EDITED: Final = ("name", "scopes")
_ADMIN: Final = ("auth.forbidden", "account.not_found")


@post("/api-keys", opt=RECENT, tags=["api-keys"], responses=documented("key.limit", *KEYED))
async def create_api_key(
    request: Request[Any, Any, Any], data: JSONBody[NewApiKey], idempotency_key: OptionalKey = None
) -> Response[ApiKeyCreated]:
    """Make an API key; `key` is in this answer only, and in no repetition of it."""

    async def effect(tx: Tx) -> Answer[ApiKeyCreated]:
        made = await service.create_key(tx, user_id_of(request), data)
        return Answer(made, kept=service.without_key(made))

    return await once(request, idempotency_key, effect)


@get("/api-keys", tags=["api-keys"], responses=documented("request.cursor_invalid"))
async def list_api_keys(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[ApiKey]:
    """List one's API keys but revoked ones, the newest first; never their secrets."""
    async with reading(request) as tx:
        return await service.list_keys(tx, user_id_of(request), limit=limit, cursor=cursor)


@get("/api-keys/{key_id:uuid}", tags=["api-keys"], responses=documented("key.not_found"))
async def get_api_key(request: Request[Any, Any, Any], key_id: FromPath[UUID]) -> Response[ApiKey]:
    """Return one of one's API keys that is not revoked."""
    async with reading(request) as tx:
        return tagged(await service.get_key(tx, user_id_of(request), key_id), edited=_EDITED)


@patch(
    "/api-keys/{key_id:uuid}",
    opt=RECENT,
    tags=["api-keys"],
    responses=documented("key.not_found", "request.precondition_failed"),
)
async def change_api_key(
    request: Request[Any, Any, Any],
    key_id: FromPath[UUID],
    data: JSONBody[ChangeApiKey],
    if_match: IfMatch = None,
) -> Response[ApiKey]:
    """Rename a key, or change what it may do; within a second that holds everywhere."""
    account = user_id_of(request)
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_key(tx, account, key_id),
        effect=lambda tx: service.change_key(tx, account, key_id, data),
        edited=_EDITED,
    )


@delete("/api-keys/{key_id:uuid}", tags=["api-keys"], responses=documented("key.not_found"))
async def revoke_api_key(request: Request[Any, Any, Any], key_id: FromPath[UUID]) -> None:
    """End a key for good; within a second nobody takes it. Again is harmless."""
    async with writing(request) as tx:
        await service.revoke_key(tx, user_id_of(request), key_id)


@post(
    "/service-accounts",
    opt=RECENT,
    tags=["api-keys"],
    responses=documented("auth.forbidden", *KEYED),
)
async def create_service_account(
    request: Request[Any, Any, Any],
    data: JSONBody[NewServiceAccount],
    idempotency_key: OptionalKey = None,
) -> Response[ServiceAccount]:
    """Make an account for a backend: no login, only API keys. For administrators."""

    async def effect(tx: Tx) -> Answer[ServiceAccount]:
        return Answer(await service.create_service_account(tx, data.name))

    return await once(request, idempotency_key, effect, unit=_administering)


@get(
    "/service-accounts",
    # Administrators who look at what is not theirs leave an entry.
    opt=WRITES,
    tags=["api-keys"],
    responses=documented("auth.forbidden", "request.cursor_invalid"),
)
async def list_service_accounts(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[ServiceAccount]:
    """List the service accounts, the newest first. For administrators."""
    async with _administering(request) as tx:
        return await service.list_service_accounts(tx, limit=limit, cursor=cursor)


@delete(
    "/service-accounts/{account_id:uuid}",
    opt=RECENT,
    tags=["api-keys"],
    responses=documented(*_ADMIN),
)
async def close_service_account(
    request: Request[Any, Any, Any], account_id: FromPath[UUID]
) -> None:
    """Close a service account for good and end all its keys. For administrators."""
    async with _administering(request) as tx:
        await service.close_service_account(tx, account_id)


@post(
    "/service-accounts/{account_id:uuid}/api-keys",
    opt=RECENT,
    tags=["api-keys"],
    responses=documented("key.limit", *_ADMIN, *KEYED),
)
async def create_service_api_key(
    request: Request[Any, Any, Any],
    account_id: FromPath[UUID],
    data: JSONBody[NewApiKey],
    idempotency_key: OptionalKey = None,
) -> Response[ApiKeyCreated]:
    """Make an API key of a service account, shown this once. For administrators."""

    async def effect(tx: Tx) -> Answer[ApiKeyCreated]:
        await service.require_service_account(tx, account_id)
        made = await service.create_key(tx, account_id, data)
        return Answer(made, kept=service.without_key(made))

    return await once(request, idempotency_key, effect, unit=_administering)


@get(
    "/service-accounts/{account_id:uuid}/api-keys",
    opt=WRITES,
    tags=["api-keys"],
    responses=documented("request.cursor_invalid", *_ADMIN),
)
async def list_service_api_keys(
    request: Request[Any, Any, Any],
    account_id: FromPath[UUID],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ApiKey]:
    """List the API keys of a service account, the newest first. For administrators."""
    async with _administering(request) as tx:
        await service.look_at_keys(tx, account_id)
        return await service.list_keys(tx, account_id, limit=limit, cursor=cursor)


@get(
    "/service-accounts/{account_id:uuid}/api-keys/{key_id:uuid}",
    opt=WRITES,
    tags=["api-keys"],
    responses=documented("key.not_found", *_ADMIN),
)
async def get_service_api_key(
    request: Request[Any, Any, Any], account_id: FromPath[UUID], key_id: FromPath[UUID]
) -> Response[ApiKey]:
    """Return one of a service account's keys that is not revoked. For administrators."""
    async with _administering(request) as tx:
        await service.look_at_keys(tx, account_id)
        return tagged(await service.get_key(tx, account_id, key_id), edited=_EDITED)


@patch(
    "/service-accounts/{account_id:uuid}/api-keys/{key_id:uuid}",
    opt=RECENT,
    tags=["api-keys"],
    responses=documented("key.not_found", "request.precondition_failed", *_ADMIN),
)
async def change_service_api_key(
    request: Request[Any, Any, Any],
    account_id: FromPath[UUID],
    key_id: FromPath[UUID],
    data: JSONBody[ChangeApiKey],
    if_match: IfMatch = None,
) -> Response[ApiKey]:
    """Rename a service account's key, or change what it may do. For administrators."""

    async def rename(tx: Tx) -> ApiKey:
        await service.require_service_account(tx, account_id)
        return await service.change_key(tx, account_id, key_id, data)

    return await change(
        request,
        if_match,
        present=lambda tx: service.get_key(tx, account_id, key_id),
        effect=rename,
        edited=_EDITED,
        unit=_administering,
    )


@delete(
    "/service-accounts/{account_id:uuid}/api-keys/{key_id:uuid}",
    tags=["api-keys"],
    responses=documented("key.not_found", *_ADMIN),
)
async def revoke_service_api_key(
    request: Request[Any, Any, Any], account_id: FromPath[UUID], key_id: FromPath[UUID]
) -> None:
    """End a service account's key for good. For administrators."""
    async with _administering(request) as tx:
        await service.require_service_account(tx, account_id)
        await service.revoke_key(tx, account_id, key_id)


def _administering(
    request: Request[Any, Any, Any], *, serializable: bool = False
) -> AbstractAsyncContextManager[Tx]:
    """Begin a transaction over all accounts, with the administrator as its actor."""
    return administering(request, over_all=True, serializable=serializable)


API_KEY_ROUTES: Final = [
    create_api_key,
    list_api_keys,
    get_api_key,
    change_api_key,
    revoke_api_key,
    create_service_account,
    list_service_accounts,
    close_service_account,
    create_service_api_key,
    list_service_api_keys,
    get_service_api_key,
    change_service_api_key,
    revoke_service_api_key,
]
