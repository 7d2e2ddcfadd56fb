"""REST: signing in with an identity provider, and the logins of one's account."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect
from msgspec.structs import asdict, replace

from core import clock, ids
from core.actor import Actor
from core.errors import DomainError
from core.ids import UserId
from hub.domains.accounts import service as accounts
from hub.domains.accounts.schemas import SignedIn
from hub.domains.logins import rules, service
from hub.domains.logins.schemas import (
    ExchangeCode,
    Flow,
    LinkByCode,
    LinkByIdToken,
    Login,
    NativeSignIn,
    OfferedProvider,
    Proof,
    SignInMethods,
)
from hub.http import human_page
from hub.http.auth import PUBLIC, limited
from hub.http.deps import acting_as, actor, as_system, reading, resources, sign_ins, writing
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented
from hub.http.recency import RECENT
from hub.providers.oidc import Provider, challenge_of
from hub.providers.oidc_tokens import Person

_FLOW: Final = "login.flow"
_CODE: Final = "login.code"
_STATE_MAX_CHARS: Final = 64
_PARAMETER_MAX_CHARS: Final = 4096
_OUTCOMES: Final = ("login.refused", "login.provider_unavailable", "login.link_required")
_CHALLENGE: Final = r"^[A-Za-z0-9_-]{43}$(?!\n)"

RedirectUri = Annotated[
    str, QueryParameter(min_length=1, max_length=2000, description="One of `auth.redirect_uris`.")
]
Challenge = Annotated[
    str, QueryParameter(pattern=_CHALLENGE, description="PKCE, S256, of the app's own verifier.")
]
AppState = Annotated[
    str,
    QueryParameter(
        name="state",
        max_length=512,
        pattern=r"^[!-~]*$(?!\n)",
        description="Comes back to the app as it is.",
    ),
]
MaxAge = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=86_400,
        description="Whoever signed in at the provider longer ago, in seconds, does so anew.",
    ),
]


@get("/auth/methods", opt=PUBLIC, security=[{}], tags=["accounts"], sync_to_thread=False)
def get_sign_in_methods(request: Request[Any, Any, Any]) -> SignInMethods:
    """Return what a sign-in page may offer."""
    house = resources(request)
    party = house.relying_party
    offered = [
        OfferedProvider(name, item.settings.kind) for name, item in house.login_providers.items()
    ]
    return SignInMethods(
        providers=offered,
        passkeys_of=party.id if party else None,
        passkey_sign_up=party is not None and party.takes_sign_ups,
    )


@get(
    "/auth/{provider:str}/start",
    opt=limited("login", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=303,
    responses=documented(
        "login.provider_unknown", "login.redirect_refused", "login.provider_unavailable"
    ),
)
async def start_sign_in(
    request: Request[Any, Any, Any],
    provider: FromPath[str],
    redirect_uri: RedirectUri,
    code_challenge: Challenge,
    *,
    app_state: AppState = "",
    max_age: MaxAge = None,
) -> Redirect:
    """Send the browser to a provider; it ends at `redirect_uri` with `code` or with `error`."""
    house = resources(request)
    found = _browser_provider(request, provider)
    if not rules.may_end_at(redirect_uri, house.settings):
        raise DomainError("login.redirect_refused")
    flow = Flow(
        provider=provider,
        nonce=ids.new_token(),
        code_verifier=ids.new_token(),
        redirect_uri=redirect_uri,
        challenge=code_challenge,
        app_state=app_state,
        started_at=clock.unix_seconds(),
        max_age=max_age,
    )
    key = ids.new_token()
    url = await found.authorization_url(
        redirect_uri=_callback(request, found),
        state=key,
        nonce=flow.nonce,
        code_verifier=flow.code_verifier,
        max_age=max_age,
    )
    sealed = house.one_time.seal(msgspec.json.encode(flow), purpose=_FLOW, bound_to=key)
    cookie = _cookie(request, found, key, sealed, rules.FLOW_SECONDS)
    return Redirect(url, status_code=303, cookies=[cookie])


@get(
    "/auth/{provider:str}/callback",
    opt={**limited("login", public=True), "page": True},
    security=[{}],
    tags=["accounts"],
    status_code=303,
    responses=documented("login.provider_unknown", "login.state_invalid"),
)
async def finish_sign_in(request: Request[Any, Any, Any], provider: FromPath[str]) -> Response[Any]:
    """Where a provider sends the browser back to; not for apps."""
    given = {name: request.query_params.getall(name) for name in request.query_params}
    return await _come_back(request, provider, given)


@post(
    "/auth/{provider:str}/callback",
    opt={**limited("login", public=True), "any_media": True, "page": True},
    security=[{}],
    tags=["accounts"],
    status_code=303,
    responses=documented("login.provider_unknown", "login.state_invalid"),
)
async def finish_posted_sign_in(
    request: Request[Any, Any, Any], provider: FromPath[str]
) -> Response[Any]:
    """Where a provider that posts a form (Apple) sends the browser back to; not for apps."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise DomainError("request.media_type")
    form = await request.form()
    return await _come_back(request, provider, {name: form.getall(name) for name in form})


@post(
    "/auth/token",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("login.code_invalid", *_OUTCOMES, *accounts.ANEW),
)
async def exchange_code(request: Request[Any, Any, Any], data: JSONBody[ExchangeCode]) -> SignedIn:
    """Exchange the code of a sign-in that ended for tokens; a code works once, for a minute."""
    proof = await _take(request, data.code, data.code_verifier)
    return await _sign_in(request, proof, data.refresh_token)


@post(
    "/auth/{provider:str}/id-token",
    opt=limited("auth", public=True),
    security=[{}],
    tags=["accounts"],
    status_code=200,
    responses=documented("login.provider_unknown", *_OUTCOMES, *accounts.ANEW),
)
async def sign_in_natively(
    request: Request[Any, Any, Any], provider: FromPath[str], data: JSONBody[NativeSignIn]
) -> SignedIn:
    """Sign in with the ID token of a phone's SDK (Google, Apple); a token works once."""
    proof = await _verify(request, provider, data.id_token, data.nonce)
    return await _sign_in(request, proof, data.refresh_token)


@get("/me/logins", tags=["accounts"], responses=documented("request.cursor_invalid"))
async def list_logins(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Login]:
    """List the ways to sign in to one's account."""
    async with reading(request) as tx:
        return await service.list_logins(tx, limit=limit, cursor=cursor)


@post(
    "/me/logins",
    opt={**limited("auth"), **RECENT},
    tags=["accounts"],
    responses=documented(
        "login.provider_unknown",
        "login.code_invalid",
        "login.refused",
        "login.provider_unavailable",
        "login.email_unverified",
        "login.taken",
        "login.limit",
    ),
)
async def add_login(
    request: Request[Any, Any, Any], data: JSONBody[LinkByCode | LinkByIdToken]
) -> Login:
    """Add another way to sign in to one's account, proved as a sign-in is; again is harmless."""
    if isinstance(data, LinkByCode):
        proof = await _take(request, data.code, data.code_verifier)
    else:
        proof = await _verify(request, data.provider, data.id_token, data.nonce)
    house, current = resources(request), actor(request)
    async with acting_as(request, current, over_all=True) as tx:
        user_id = UUID(str(current.user_id))
        login_id = await service.link(
            tx, user_id, proof, service.Keys(house.cipher, house.index_key)
        )
    async with reading(request) as tx:
        return await service.get_login(tx, login_id)


@get("/me/logins/{login_id:uuid}", tags=["accounts"], responses=documented("login.not_found"))
async def get_login(request: Request[Any, Any, Any], login_id: FromPath[UUID]) -> Login:
    """Return one of one's logins."""
    async with reading(request) as tx:
        return await service.get_login(tx, login_id)


@delete(
    "/me/logins/{login_id:uuid}",
    opt=RECENT,
    tags=["accounts"],
    responses=documented("login.not_found", "login.last"),
)
async def remove_login(request: Request[Any, Any, Any], login_id: FromPath[UUID]) -> None:
    """Take away one of one's logins, never the last one; sessions that it opened go on."""
    async with writing(request) as tx:
        await service.remove_login(tx, login_id)


async def _come_back(
    request: Request[Any, Any, Any], name: str, given: dict[str, list[str]]
) -> Response[Any]:
    """Send the browser on to the app: with a code, or with what went wrong."""
    try:
        found = _browser_provider(request, name)
        key, flow = _open_flow(request, found, given)
    except DomainError as refusal:
        # Without a flow of this browser there is no app to send anybody to.
        if human_page.prefers_json(request):
            raise
        return human_page.page(refusal.title, text=refusal.detail, status=refusal.status)
    told = {"state": flow.app_state}
    try:
        told["code"] = await _finish(request, found, flow, given)
    except DomainError as refusal:
        told["error"] = refusal.code
    spent = _cookie(request, found, key, "", 0)
    url = rules.landing(flow.redirect_uri, **told)
    return Redirect(url, status_code=303, cookies=[spent])


async def _finish(
    request: Request[Any, Any, Any], found: Provider, flow: Flow, given: dict[str, list[str]]
) -> str:
    if "error" in given:
        raise DomainError("login.declined")
    person = await found.finish(
        code=_only(given, "code", "login.refused"),
        issuer=_only(given, "iss", "login.refused") if "iss" in given else None,
        redirect_uri=_callback(request, found),
        nonce=flow.nonce,
        code_verifier=flow.code_verifier,
        max_age=flow.max_age,
    )
    proof = replace(_proof(found, person), challenge=flow.challenge)
    value = msgspec.json.encode(proof)
    return await resources(request).one_time.put(value, purpose=_CODE, seconds=rules.CODE_SECONDS)


def _open_flow(
    request: Request[Any, Any, Any], found: Provider, given: dict[str, list[str]]
) -> tuple[str, Flow]:
    key = _only(given, "state", "login.state_invalid")
    sealed = request.cookies.get(_cookie_name(request, found, key), "")
    opened = resources(request).one_time.open(sealed, purpose=_FLOW, bound_to=key)
    if len(key) > _STATE_MAX_CHARS or opened is None:
        raise DomainError("login.state_invalid")
    flow = msgspec.json.decode(opened, type=Flow)
    if not rules.is_current(flow, found.name, clock.unix_seconds()):
        raise DomainError("login.state_invalid")
    return key, flow


async def _take(request: Request[Any, Any, Any], code: str, code_verifier: str) -> Proof:
    value = await resources(request).one_time.take(code, purpose=_CODE)
    if value is None:
        raise DomainError("login.code_invalid")
    proof = msgspec.json.decode(value, type=Proof)
    if not rules.may_take(proof, challenge_of(code_verifier)):
        raise DomainError("login.code_invalid")
    return proof


async def _verify(request: Request[Any, Any, Any], name: str, id_token: str, nonce: str) -> Proof:
    found = _browser_provider(request, name)
    person, ends_at = await found.verify_native(id_token, nonce)
    seconds = max(1, ends_at - clock.unix_seconds())
    if not await resources(request).one_time.note(id_token, seconds=seconds):
        raise DomainError("login.refused")
    return _proof(found, person)


async def _sign_in(
    request: Request[Any, Any, Any], proof: Proof, refresh_token: str | None
) -> SignedIn:
    house = resources(request)
    keys = service.Keys(house.cipher, house.index_key)
    async with as_system(request) as tx:
        # Who signs in anew has an account: none is made of a login that is not its own.
        known = service.sign_in if refresh_token is None else service.recognise
        user_id = await known(tx, proof, keys)
    if user_id is None:
        raise DomainError("auth.other_account")
    who: Actor = replace(actor(request), kind="user", user_id=UserId(user_id))
    async with acting_as(request, who) as tx:
        entered = await accounts.enter(
            tx,
            refresh_token,
            lifetime_seconds=house.settings.auth.refresh_token_seconds,
            key=house.index_key,
            authenticated_at=proof.authenticated_at,
        )
    return accounts.signed_in(entered, house.token_keys, sign_ins(request).end)


def _proof(found: Provider, person: Person) -> Proof:
    return Proof(provider=found.name, **asdict(person))


def _browser_provider(request: Request[Any, Any, Any], name: str) -> Provider:
    found = resources(request).login_providers.get(name)
    if found is None or found.settings.kind == "supabase":
        raise DomainError("login.provider_unknown")
    return found


def _callback(request: Request[Any, Any, Any], found: Provider) -> str:
    public_url = resources(request).settings.server.public_url.rstrip("/")
    return f"{public_url}/v1/auth/{found.name}/callback"


def _only(given: dict[str, list[str]], name: str, refusal: str) -> str:
    """Return the one value of a parameter: of two, somebody else might read the other one."""
    values = given.get(name, [])
    if len(values) != 1 or not 0 < len(values[0]) <= _PARAMETER_MAX_CHARS:
        raise DomainError(refusal)
    return values[0]


def _cookie(
    request: Request[Any, Any, Any], found: Provider, key: str, value: str, seconds: int
) -> Cookie:
    # A form that another site posts brings no other cookies than such.
    crosses_sites = found.response_mode == "form_post"
    return Cookie(
        key=_cookie_name(request, found, key),
        value=value,
        max_age=seconds,
        path="/",
        secure=_is_secure(request, found),
        httponly=True,
        samesite="none" if crosses_sites else "lax",
    )


def _cookie_name(request: Request[Any, Any, Any], found: Provider, key: str) -> str:
    # One for each sign-in under way: two tabs do not end each other's.
    prefix = "__Host-" if _is_secure(request, found) else ""
    return f"{prefix}ping_login_{key[:8]}"


def _is_secure(request: Request[Any, Any, Any], found: Provider) -> bool:
    is_https = resources(request).settings.server.public_url.startswith("https://")
    return is_https or found.response_mode == "form_post"


LOGIN_ROUTES: Final = [
    get_sign_in_methods,
    start_sign_in,
    finish_sign_in,
    finish_posted_sign_in,
    exchange_code,
    sign_in_natively,
    list_logins,
    add_login,
    get_login,
    remove_login,
]
