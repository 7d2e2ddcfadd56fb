"""Identity providers: where a sign-in begins, and what its end proves (OpenID Connect Core 1.0).

Authorization code flow with PKCE, ID tokens that a phone's SDK brings, and access tokens of
Supabase Auth. What a provider hands out beyond who somebody is (its access token) is forgotten.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Literal, cast
from urllib.parse import quote

import msgspec
from authlib.oauth2.rfc6749 import parameters
from authlib.oauth2.rfc7636 import challenge

from core import clock, config, log
from core.errors import DomainError
from hub.providers import oidc_settings
from hub.providers.oidc_http import ProviderHttp, RefusedError, UnreachableError
from hub.providers.oidc_issuer import Issuer
from hub.providers.oidc_tokens import (
    Expected,
    Person,
    TokenExpiredError,
    TokenRefusedError,
    authenticated_at,
    check_id_token,
    check_supabase,
    hashed_nonce,
    person_of,
    read_header,
    shared_key,
    verified_claims,
)

_GOOGLE_ALIAS: Final = "accounts.google.com"
_RETRY_AFTER_SECONDS: Final = 5

# The library says nothing of types.
_grant_uri: Final[Callable[..., Any]] = cast("Any", parameters).prepare_grant_uri
_challenge: Final[Callable[[str], Any]] = cast("Any", challenge).create_s256_code_challenge

_logger = log.get("oidc")


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified access token of Supabase Auth says."""

    person: Person
    session: str
    issued_at: int
    expires_at: int


class Provider:
    """One configured way to sign in; it keeps what its issuer publishes."""

    def __init__(self, name: str, settings: config.LoginProvider) -> None:
        self.name = name
        self.settings = oidc_settings.resolved(name, settings)
        self.issuer = self.settings.issuer
        self._http = ProviderHttp(frozenset(self.settings.endpoint_hosts))
        is_supabase = self.settings.kind == "supabase"
        keys = f"{self.issuer}/.well-known/jwks.json" if is_supabase else ""
        self._issuer = Issuer(self.issuer, self._http, jwks_uri=keys)
        secret = self.settings.jwt_secret
        self._shared = shared_key(secret) if secret else None
        self.response_mode: Literal["query", "form_post"] = (
            "form_post" if self.settings.kind == "apple" else "query"
        )

    async def authorization_url(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_verifier: str,
        max_age: int | None = None,
    ) -> str:
        """Return where the browser goes to sign in.

        `max_age`: who has shown the provider who they are longer ago, in seconds, shall do so anew.
        Google and Apple know no such thing; Google then asks which account it is.
        """
        with self._translated():
            metadata = await self._issuer.metadata()
        more = {"response_mode": "form_post"} if self.response_mode == "form_post" else {}
        if max_age is not None and self.settings.kind == "oidc":
            more["max_age"] = str(max_age)
        elif max_age is not None and self.settings.kind == "google":
            more["prompt"] = "select_account"
        return str(
            _grant_uri(
                metadata.authorization_endpoint,
                self.settings.client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=" ".join(self.settings.scopes),
                state=state,
                nonce=nonce,
                code_challenge=challenge_of(code_verifier),
                code_challenge_method="S256",
                **more,
            )
        )

    async def finish(
        self,
        *,
        code: str,
        issuer: str | None,
        redirect_uri: str,
        nonce: str,
        code_verifier: str,
        max_age: int | None = None,
    ) -> Person:
        """Exchange the provider's code and return whom it vouches for.

        `max_age` as it was asked for; `issuer` is the parameter `iss` of the answer (RFC 9207).
        Raises login.refused or login.provider_unavailable.
        """
        with self._translated():
            metadata = await self._issuer.metadata()
            wanted = metadata.authorization_response_iss_parameter_supported
            if issuer != self.issuer and (issuer is not None or wanted):
                raise TokenRefusedError("the answer comes from another issuer")
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            }
            basic = self._authenticate(form, metadata.token_endpoint_auth_methods_supported)
            answer = _answer(await self._http.post(metadata.token_endpoint, form, basic))
            header, claims = await self._issuer.verify(answer.id_token, self.settings.algorithms)
            check_id_token(
                header,
                claims,
                self._expected((self.settings.client_id,)),
                nonce=nonce,
                access_token=answer.access_token,
                max_age=max_age if self.settings.kind == "oidc" else None,
                now=clock.unix_seconds(),
            )
            person = _signed_in(claims, self.issuer)
            if person.email or not metadata.userinfo_endpoint or not answer.access_token:
                return person
            return await self._ask_userinfo(metadata.userinfo_endpoint, answer, person)

    async def verify_native(self, id_token: str, nonce: str) -> tuple[Person, int]:
        """Return whom an ID token of a phone's SDK vouches for, and when it ends.

        The SDK was given the nonce's SHA-256 in hex: the token alone does not tell the nonce.
        """
        settings = self.settings
        with self._translated():
            header, claims = await self._issuer.verify(id_token, settings.algorithms)
            check_id_token(
                header,
                claims,
                self._expected((settings.client_id, *settings.native_client_ids)),
                nonce=hashed_nonce(nonce),
                now=clock.unix_seconds(),
            )
            return _signed_in(claims, self.issuer), int(claims["exp"])

    async def verify_bearer(self, token: str) -> Bearer:
        """Return what an access token of Supabase Auth says.

        Raises auth.token_invalid, auth.token_expired or login.provider_unavailable.
        """
        with self._translated("auth.token_invalid"):
            # The project signs by a key pair or by a secret; neither serves for the other.
            if read_header(token).get("alg") != "HS256":
                _, claims = await self._issuer.verify(token, self.settings.algorithms)
            elif self._shared is None:
                raise TokenRefusedError("a shared secret that is not configured")
            else:
                _, claims = verified_claims(token, self._shared, ("HS256",))
            check_supabase(claims, self.issuer, clock.unix_seconds())
            # Without a word of it nobody knows: `iat` is of the latest renewal.
            person = msgspec.structs.replace(
                person_of(claims, self.issuer), authenticated_at=authenticated_at(claims)
            )
        # `user_metadata`, where Supabase keeps such things, is what the user has written there.
        verified = self.settings.trusts_email and bool(person.email)
        return Bearer(
            person=msgspec.structs.replace(person, email_verified=verified),
            session=str(claims.get("session_id", "")),
            issued_at=int(claims["iat"]),
            expires_at=int(claims["exp"]),
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    def _authenticate(
        self, form: dict[str, str], methods: tuple[str, ...]
    ) -> tuple[str, str] | None:
        """Say who we are: in the form, or as what is returned for HTTP's basic authentication."""
        settings = self.settings
        if settings.kind == "apple":
            form["client_secret"] = oidc_settings.apple_secret(settings)
        elif settings.client_secret and "client_secret_basic" in methods:
            # Form-encoded inside of Basic (RFC 6749, 2.3.1).
            return quote(settings.client_id, safe=""), quote(settings.client_secret, safe="")
        elif settings.client_secret:
            form["client_secret"] = settings.client_secret
        form["client_id"] = settings.client_id
        return None

    def _expected(self, client_ids: tuple[str, ...]) -> Expected:
        alias = (_GOOGLE_ALIAS,) if self.settings.kind == "google" else ()
        return Expected(
            issuers=(self.issuer, *alias),
            client_ids=client_ids,
            algorithms=self.settings.algorithms,
        )

    async def _ask_userinfo(self, url: str, answer: "_Answer", person: Person) -> Person:
        headers = {"Authorization": f"Bearer {answer.access_token}"}
        said = await self._http.get(url, headers)
        # Userinfo is not signed: it is about whoever the ID token names, or about nobody.
        if not isinstance(said, dict):
            raise TokenRefusedError("no userinfo")
        claims = cast("dict[str, Any]", said)
        if claims.get("sub") != person.subject:
            raise TokenRefusedError("userinfo of somebody else")
        said_now = person_of(claims, self.issuer)
        return msgspec.structs.replace(said_now, authenticated_at=person.authenticated_at)

    @contextmanager
    def _translated(self, refused: str = "login.refused") -> Generator[None]:
        """Tell the caller no more than which way it failed; the log has the reason."""
        try:
            yield
        except UnreachableError as error:
            _logger.warning("provider_unavailable", provider=self.name, reason=str(error))
            raise DomainError(
                "login.provider_unavailable", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from None
        except TokenExpiredError:
            raise DomainError(
                "auth.token_expired" if refused == "auth.token_invalid" else refused
            ) from None
        except (TokenRefusedError, RefusedError) as error:
            _logger.info("login_refused", provider=self.name, reason=str(error))
            raise DomainError(refused) from None


def _signed_in(claims: dict[str, Any], issuer: str) -> Person:
    """Return whom an ID token vouches for; it is made at the sign-in, unless it says otherwise."""
    shown_at = authenticated_at(claims) or int(claims["iat"])
    return msgspec.structs.replace(
        person_of(claims, issuer), authenticated_at=min(shown_at, clock.unix_seconds())
    )


def challenge_of(code_verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636)."""
    return str(_challenge(code_verifier))


def open_providers(auth: config.Auth) -> dict[str, Provider]:
    """Return the configured providers by name, or raise ConfigError; nothing is asked yet."""
    oidc_settings.check_redirect_uris(auth.redirect_uris)
    return {name: Provider(name, settings) for name, settings in auth.providers.items()}


class _Answer(msgspec.Struct):
    id_token: str
    access_token: str = ""


def _answer(document: object) -> _Answer:
    try:
        return msgspec.convert(document, _Answer)
    except msgspec.ValidationError:
        raise TokenRefusedError("no ID token") from None
