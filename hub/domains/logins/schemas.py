"""Sign-in with identity providers, as the REST interface takes and shows it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from core.actor import Role
from hub.domains.accounts.schemas import RefreshToken

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
Code = Annotated[str, Meta(min_length=16, max_length=128, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]
Verifier = Annotated[str, Meta(min_length=43, max_length=128, pattern=r"^[A-Za-z0-9._~-]+$(?!\n)")]
Nonce = Annotated[str, Meta(min_length=16, max_length=255, pattern=r"^[!-~]+$(?!\n)")]
IdToken = Annotated[str, Meta(min_length=16, max_length=16_384, pattern=r"^[A-Za-z0-9._-]+$(?!\n)")]
ProviderName = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_-]*$(?!\n)")
]


class OfferedProvider(Struct, frozen=True):
    """A provider of the settings; `supabase` has no page of its own to send people to."""

    name: str
    kind: Literal["oidc", "google", "apple", "supabase"]


class SignInMethods(Struct, frozen=True, kw_only=True):
    """What a sign-in page may offer."""

    providers: list[OfferedProvider]
    passkeys_of: str | None
    """The domain that passkeys belong to: pages elsewhere cannot use them. Null: there are none."""
    passkey_sign_up: bool
    """Whether anybody may make an account with one."""


class ExchangeCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code of a sign-in that ended, with the verifier of the challenge it began with."""

    code: Code
    code_verifier: Verifier
    refresh_token: RefreshToken | None = None
    """Signs in anew to the sign-in session that it belongs to, instead of beginning another."""


class NativeSignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a phone's SDK brought; it was given the SHA-256 of `nonce` in hex."""

    id_token: IdToken
    nonce: Nonce
    refresh_token: RefreshToken | None = None
    """Signs in anew to the sign-in session that it belongs to, instead of beginning another."""


class LinkByCode(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="by", tag="code"
):
    """Adds the login of a sign-in that ended."""

    code: Code
    code_verifier: Verifier


class LinkByIdToken(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="by", tag="id_token"
):
    """Adds the login that a phone's SDK brought."""

    provider: ProviderName
    id_token: IdToken
    nonce: Nonce


class Login(Struct, frozen=True):
    """A way to sign in to one's account."""

    id: UUID
    provider: str
    issuer: str
    last_used_at: datetime | None
    created_at: datetime


class FoundLogin(Struct, frozen=True):
    """Whose a login is."""

    user_id: UUID
    role: Role


class Owner(Struct, frozen=True):
    """Whose a login is, and whether the account still is one."""

    id: UUID
    user_id: UUID
    is_closed: bool


class Proof(Struct, frozen=True, kw_only=True):
    """Whom a provider has vouched for, as it waits for its code; never shown."""

    provider: str
    issuer: str
    subject: str
    email: str = ""
    email_verified: bool = False
    is_private_relay: bool = False
    phone: str = ""
    phone_verified: bool = False
    full_name: str = ""
    locale: str = ""
    authenticated_at: int = 0
    challenge: str = ""


class Flow(Struct, frozen=True, kw_only=True):
    """A sign-in under way, as the browser carries it, sealed."""

    provider: str
    nonce: str
    code_verifier: str
    redirect_uri: str
    challenge: str
    app_state: str
    started_at: int
    max_age: int | None = None
