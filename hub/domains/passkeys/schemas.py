"""Passkeys as the REST interface takes and shows them.

What browsers and phones make and want is the W3C's: `PublicKeyCredentialCreationOptionsJSON`,
`RegistrationResponseJSON` and their likes (WebAuthn level 3, 5.1 and 5.4). It is taken as it comes,
with fields that later versions add; bytes are base64url without padding.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from hub.domains.accounts.schemas import Line, RefreshToken

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
CredentialId = Annotated[
    str, Meta(min_length=1, max_length=1364, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")
]
"""At most 1023 bytes (WebAuthn, 5.8.3)."""
ClientDataJSON = Annotated[
    str, Meta(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")
]
Encoded = Annotated[str, Meta(min_length=1, max_length=8192, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]
UserHandle = Annotated[str, Meta(max_length=86, pattern=r"^[A-Za-z0-9_-]*$(?!\n)")]
Challenge = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$(?!\n)")]
Transport = Annotated[str, Meta(max_length=32, pattern=r"^[a-z-]+$(?!\n)")]
"""How a device is reached: `internal`, `hybrid`, `usb`, `nfc`, `ble`, or a word of later times."""
Transports = Annotated[list[Transport], Meta(max_length=10)]


class SignUpOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begins a new account; the name is what others see."""

    full_name: Line


class Attestation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`response` of a credential that was made."""

    client_data_json: ClientDataJSON = field(name="clientDataJSON")
    attestation_object: Encoded = field(name="attestationObject")
    transports: Transports = []


class Assertion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`response` of a credential that signed."""

    client_data_json: ClientDataJSON = field(name="clientDataJSON")
    authenticator_data: Encoded = field(name="authenticatorData")
    signature: Encoded
    user_handle: UserHandle | None = field(name="userHandle", default=None)


class MadeCredential(Struct, frozen=True, kw_only=True):
    """What `navigator.credentials.create()` brought, as its `toJSON()` says it."""

    id: CredentialId
    type: Literal["public-key"]
    response: Attestation


class SignedCredential(Struct, frozen=True, kw_only=True):
    """What `navigator.credentials.get()` brought, as its `toJSON()` says it."""

    id: CredentialId
    type: Literal["public-key"]
    response: Assertion


class SignUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends a sign-up: the passkey of the new account, and what to call it."""

    credential: MadeCredential
    name: Line | None = None


class SignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends a sign-in."""

    credential: SignedCredential
    refresh_token: RefreshToken | None = None
    """Signs in anew to the sign-in session that it belongs to, instead of beginning another."""


class AddPasskey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds a passkey to one's account, and says what to call it."""

    credential: MadeCredential
    name: Line | None = None


class NamePasskey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a passkey; null takes the name away."""

    name: Line | None


class Party(Struct, frozen=True):
    """`rp`: what the passkey will belong to."""

    id: str
    name: str


class Person(Struct, frozen=True, rename="camel"):
    """`user`: how devices show the account; the id is what they give back at a sign-in."""

    id: str
    name: str
    display_name: str


class Algorithm(Struct, frozen=True):
    """One kind of key that is taken, by its COSE number."""

    alg: int
    type: Literal["public-key"] = "public-key"


class Descriptor(Struct, frozen=True):
    """A passkey that the account has."""

    id: str
    transports: list[str]
    type: Literal["public-key"] = "public-key"


class Selection(Struct, frozen=True, rename="camel"):
    """What the device has to be able to do: find the passkey by itself, and verify its user."""

    resident_key: Literal["required"] = "required"
    require_resident_key: bool = True
    user_verification: Literal["preferred"] = "preferred"


class CreationOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """For `PublicKeyCredential.parseCreationOptionsFromJSON`, or a phone's credential manager."""

    rp: Party
    user: Person
    challenge: str
    pub_key_cred_params: tuple[Algorithm, ...]
    timeout: int
    """Milliseconds."""
    exclude_credentials: list[Descriptor]
    authenticator_selection: Selection = Selection()
    attestation: Literal["none"] = "none"


class RequestOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """For `PublicKeyCredential.parseRequestOptionsFromJSON`, or a phone's credential manager."""

    challenge: str
    timeout: int
    """Milliseconds."""
    rp_id: str
    allow_credentials: list[Descriptor]
    user_verification: Literal["preferred"] = "preferred"


class Passkey(Struct, frozen=True):
    """A passkey of one's account; the same id is among its logins."""

    id: UUID
    name: str | None
    credential_id: str
    transports: list[str]
    is_user_verified: bool
    """Whether its device has verified its user; from then on it always has to."""
    is_backup_eligible: bool
    """Whether several devices may have it."""
    is_backed_up: bool
    suspected_at: datetime | None
    """When its counter went back: somebody else may have a copy of it."""
    last_used_at: datetime | None
    created_at: datetime


class ClientData(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a browser or phone says it signed for (WebAuthn, 5.8.1)."""

    challenge: Challenge
    cross_origin: bool = False


class Newcomer(Struct, frozen=True, kw_only=True):
    """Who signs up, as it waits for the passkey; never shown."""

    user_id: UUID
    full_name: str


class NewPasskey(Struct, frozen=True, kw_only=True):
    """A passkey that was verified when it was made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    is_user_verified: bool
    is_backup_eligible: bool
    is_backed_up: bool


class StoredPasskey(Struct, frozen=True):
    """What a sign-in is verified by, and whose it is."""

    id: UUID
    user_id: UUID
    public_key: bytes
    sign_count: int
    is_user_verified: bool
    is_backup_eligible: bool
    is_closed: bool


class Shown(Struct, frozen=True, kw_only=True):
    """What a verified sign-in says of the passkey's device."""

    sign_count: int
    is_user_verified: bool
    is_backed_up: bool
