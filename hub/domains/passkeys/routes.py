"""REST: signing up and in with a passkey, and the passkeys of one's account.

Each way has two steps: the options, with a challenge that works once, for five minutes, in any
process of the hub; then what the device made of them.
"""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace

from core import ids
from core.actor import Actor
from core.errors import DomainError
from core.ids import UserId
from hub.domains.accounts import service as accounts
from hub.domains.accounts.schemas import SignedIn
from hub.domains.passkeys import rules, service
from hub.domains.passkeys.schemas import (
    AddPasskey,
    CreationOptions,
    NamePasskey,
    Newcomer,
    Passkey,
    RequestOptions,
    SignIn,
    SignUp,
    SignUpOptions,
)
from hub.http.auth import limited, user_id_of
from hub.http.deps import acting_as, actor, as_system, reading, resources, sign_ins, writing
from hub.http.etags import IfMatch, change, tagged
from hub.http.origins import RelyingParty
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented
from hub.http.recency import RECENT

_EDITED: Final = ("name",)
# A challenge of one ceremony is none of another one.
_SIGN_UP: Final = "passkey.sign_up"
_SIGN_IN: Final = "passkey.sign_in"
_ADD: Final = "passkey.add"
_FOR_SIGN_UP: Final = ("passkey.sign_up_closed", "passkey.unavailable")


@post(
    "/auth/passkeys/sign-up/options",
    opt=limited("login", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented(*_FOR_SIGN_UP),
)
async def begin_sign_up(
    request: Request[Any, Any, Any], data: JSONBody[SignUpOptions]
) -> CreationOptions:
    """Begin a new account whose login is a passkey; nothing is kept of it until it ends."""
    party = _sign_up_party(request)
    newcomer = Newcomer(user_id=ids.new_id(), full_name=data.full_name)
    challenge = await _new_challenge(request, _SIGN_UP, msgspec.json.encode(newcomer))
    return rules.creation_options(party, challenge, newcomer.user_id, newcomer.full_name, [])


@post(
    "/auth/passkeys/sign-up",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented(*_FOR_SIGN_UP, "passkey.invalid", "login.taken"),
)
async def sign_up(request: Request[Any, Any, Any], data: JSONBody[SignUp]) -> SignedIn:
    """Make an account of what the device made, and sign in to it."""
    party, house = _sign_up_party(request), resources(request)
    client_data = data.credential.response.client_data_json
    challenge, value = await _take_challenge(request, _SIGN_UP, client_data, "passkey.invalid")
    newcomer = msgspec.json.decode(value, type=Newcomer)
    made = service.verify_made(data.credential, challenge, party)
    async with as_system(request) as tx:
        await service.sign_up(tx, newcomer, made, name=data.name, party=party, cipher=house.cipher)
    return await _enter(request, newcomer.user_id)


@post(
    "/auth/passkeys/sign-in/options",
    opt=limited("login", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("passkey.unavailable"),
)
async def begin_sign_in(request: Request[Any, Any, Any]) -> RequestOptions:
    """Begin a sign-in; nobody says who they are, the device knows its passkeys."""
    party = _party(request)
    return rules.request_options(party, await _new_challenge(request, _SIGN_IN, b""))


@post(
    "/auth/passkeys/sign-in",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("passkey.refused", "passkey.unavailable", *accounts.ANEW),
)
async def sign_in(request: Request[Any, Any, Any], data: JSONBody[SignIn]) -> SignedIn:
    """Sign in with what the device signed."""
    party = _party(request)
    client_data = data.credential.response.client_data_json
    challenge, _ = await _take_challenge(request, _SIGN_IN, client_data, "passkey.refused")
    async with as_system(request) as tx:
        user_id = await service.sign_in(tx, data.credential, challenge, party)
    if user_id is None:
        raise service.refused("counter", "passkey.refused")
    return await _enter(request, user_id, data.refresh_token)


@post(
    "/me/passkeys/options",
    opt={**limited("login"), **RECENT},
    tags=["accounts"],
    status_code=200,
    responses=documented("passkey.unavailable"),
)
async def begin_adding(request: Request[Any, Any, Any]) -> CreationOptions:
    """Begin to add a passkey to one's account, on a device that has none of it yet."""
    party, user_id = _party(request), user_id_of(request)
    async with reading(request) as tx:
        account = await accounts.get_account(tx)
        known = await service.list_descriptors(tx)
    challenge = await _new_challenge(request, _ADD, user_id.bytes)
    return rules.creation_options(party, challenge, user_id, account.full_name, known)


@post(
    "/me/passkeys",
    opt={**limited("auth"), **RECENT},
    tags=["accounts"],
    responses=documented(
        "passkey.invalid",
        "passkey.unavailable",
        "login.taken",
        "login.limit",
        "request.conflict",
    ),
)
async def add_passkey(request: Request[Any, Any, Any], data: JSONBody[AddPasskey]) -> Passkey:
    """Add to one's account what the device made."""
    party, user_id = _party(request), user_id_of(request)
    client_data = data.credential.response.client_data_json
    challenge, value = await _take_challenge(request, _ADD, client_data, "passkey.invalid")
    if value != user_id.bytes:
        raise service.refused("challenge", "passkey.invalid")
    made = service.verify_made(data.credential, challenge, party)
    async with acting_as(request, actor(request), over_all=True) as tx:
        passkey_id = await service.add(tx, user_id, made, name=data.name, party=party)
    async with reading(request) as tx:
        return await service.get_passkey(tx, passkey_id)


@get("/me/passkeys", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_passkeys(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Passkey]:
    """List the passkeys of one's account, the oldest first."""
    async with reading(request) as tx:
        return await service.list_passkeys(tx, limit=limit, cursor=cursor)


@get("/me/passkeys/{passkey_id:uuid}", tags=["accounts"], responses=documented("passkey.not_found"))
async def get_passkey(
    request: Request[Any, Any, Any], passkey_id: FromPath[UUID]
) -> Response[Passkey]:
    """Return one of one's passkeys."""
    async with reading(request) as tx:
        return tagged(await service.get_passkey(tx, passkey_id), edited=_EDITED)


@patch(
    "/me/passkeys/{passkey_id:uuid}",
    tags=["accounts"],
    responses=documented("passkey.not_found", "request.precondition_failed"),
)
async def name_passkey(
    request: Request[Any, Any, Any],
    passkey_id: FromPath[UUID],
    data: JSONBody[NamePasskey],
    if_match: IfMatch = None,
) -> Response[Passkey]:
    """Name a passkey."""
    return await change(
        request,
        if_match,
        present=lambda tx: service.get_passkey(tx, passkey_id),
        effect=lambda tx: service.name_passkey(tx, passkey_id, data.name),
        edited=_EDITED,
    )


@delete(
    "/me/passkeys/{passkey_id:uuid}",
    opt=RECENT,
    tags=["accounts"],
    responses=documented("passkey.not_found", "login.last"),
)
async def remove_passkey(request: Request[Any, Any, Any], passkey_id: FromPath[UUID]) -> None:
    """Take away one of one's passkeys, but never the last way to sign in."""
    async with writing(request) as tx:
        await service.remove_passkey(tx, passkey_id)


def _party(request: Request[Any, Any, Any]) -> RelyingParty:
    party = resources(request).relying_party
    if party is None:
        raise DomainError("passkey.unavailable")
    return party


def _sign_up_party(request: Request[Any, Any, Any]) -> RelyingParty:
    party = _party(request)
    if not party.takes_sign_ups:
        raise DomainError("passkey.sign_up_closed")
    return party


async def _new_challenge(request: Request[Any, Any, Any], purpose: str, value: bytes) -> str:
    one_time = resources(request).one_time
    return await one_time.put(value, purpose=purpose, seconds=rules.CHALLENGE_SECONDS)


async def _take_challenge(
    request: Request[Any, Any, Any], purpose: str, client_data: str, refusal: str
) -> tuple[str, bytes]:
    """Return the challenge that a device says it signed for, which ends by that, with its value."""
    said = rules.read_client_data(client_data)
    if said is None:
        raise service.refused("malformed", refusal)
    value = await resources(request).one_time.take(said.challenge, purpose=purpose)
    # Inside of another site's frame nobody knows whom they sign in for.
    if value is None or said.cross_origin:
        raise service.refused("challenge", refusal)
    return said.challenge, value


async def _enter(
    request: Request[Any, Any, Any], user_id: UUID, refresh_token: str | None = None
) -> SignedIn:
    house = resources(request)
    who: Actor = replace(actor(request), kind="user", user_id=UserId(user_id))
    async with acting_as(request, who) as tx:
        entered = await accounts.enter(
            tx,
            refresh_token,
            lifetime_seconds=house.settings.auth.refresh_token_seconds,
            key=house.index_key,
        )
    return accounts.signed_in(entered, house.token_keys, sign_ins(request).end)


PASSKEY_ROUTES: Final = [
    begin_sign_up,
    sign_up,
    begin_sign_in,
    sign_in,
    begin_adding,
    add_passkey,
    list_passkeys,
    get_passkey,
    name_passkey,
    remove_passkey,
]
