"""API keys and service accounts as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from hub.domains.accounts.schemas import Line
from hub.http.scopes import Scope

AccountKind = Literal["person", "service"]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=64)]


class NewApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a key; without `expires_at` it works until it is revoked."""

    name: Line
    scopes: Scopes
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class ChangeApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a key; absent fields stay as they are."""

    name: Line | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET


class ApiKey(Struct, frozen=True):
    """A key, without its secret; `last_used_at` is exact to a minute."""

    id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    last_used_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class ApiKeyCreated(Struct, frozen=True):
    """A new key; `key` is shown this once, and null where a request is repeated."""

    id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    last_used_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    key: Annotated[str | None, Meta(examples=["ping_abcdefghij27_…"])]


class NewServiceAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an account that no person signs in to."""

    name: Line


class ServiceAccount(Struct, frozen=True):
    """An account for a backend: it acts by its API keys and can sign in nowhere."""

    id: UUID
    name: str
    created_at: datetime


class AccountKey(Struct, frozen=True):
    """A key of any account, as operators see it."""

    id: UUID
    user_id: UUID
    account_kind: AccountKind
    name: str
    prefix: str
    scopes: list[Scope]
    last_used_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
