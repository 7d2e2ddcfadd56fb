"""Access tokens of Supabase Auth as bearer tokens of REST and realtime, beside the hub's own."""

from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec.structs import asdict, replace

from core.actor import SYSTEM, Actor
from core.db import begin
from core.errors import DomainError
from hub.domains.logins import service
from hub.domains.logins.schemas import FoundLogin, Proof
from hub.http.deps import ForeignBearer, Resources
from hub.http.tokens import AUDIENCE, Claims
from hub.providers.oidc import Bearer, Provider
from hub.providers.oidc_tokens import TokenRefusedError, unverified_issuer


def foreign_bearer(house: Resources) -> ForeignBearer | None:
    """Return who says whose a foreign access token is; None if no provider issues any."""
    providers = {
        provider.issuer: provider
        for provider in house.login_providers.values()
        if provider.settings.kind == "supabase"
    }
    if not providers:
        return None

    async def verify(token: str, current: Actor) -> Claims:
        provider = providers.get(_issuer_of(token))
        if provider is None:
            raise DomainError("auth.token_invalid")
        bearer = await provider.verify_bearer(token)
        found = await _find_or_make(house, provider, bearer, current)
        return Claims(
            sub=found.user_id,
            sid=_session_of(bearer),
            role=found.role,
            exp=bearer.expires_at,
            iat=bearer.issued_at,
            iss=bearer.person.issuer,
            aud=AUDIENCE,
            auth_time=bearer.person.authenticated_at,
        )

    return verify


async def _find_or_make(
    house: Resources, provider: Provider, bearer: Bearer, current: Actor
) -> FoundLogin:
    person = bearer.person
    async with begin(house.api, current, read_only=True) as tx:
        found = await service.find(tx, person.issuer, person.subject)
    if found is not None:
        return found
    system = replace(current, kind=SYSTEM.kind)
    proof = Proof(provider=provider.name, **asdict(person))
    keys = service.Keys(house.cipher, house.index_key)
    try:
        async with begin(house.system, system) as tx:
            return FoundLogin(await service.sign_in(tx, proof, keys), "user")
    except DomainError as refusal:
        # Every route may be asked with such a token; this is one of what each may answer.
        if refusal.code in ("login.link_required", "login.refused"):
            raise DomainError("auth.token_invalid", refusal.detail) from None
        raise


def _issuer_of(token: str) -> str:
    try:
        return unverified_issuer(token)
    except TokenRefusedError:
        return ""


def _session_of(bearer: Bearer) -> UUID:
    """Return the id of the session at Supabase, for the audit and for sockets."""
    try:
        return UUID(bearer.session)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"{bearer.person.issuer}#{bearer.person.subject}")
