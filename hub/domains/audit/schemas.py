"""The audit log as administrators search it, and as people read what concerns them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Raw, Struct

from core.actor import Role

AuditAction = Literal["create", "update", "delete", "view", "export", "override"]
AuditReading = Literal["view", "export"]
"""What leaves no other trace; the other actions are written by the triggers of their tables."""
Author = Literal["me", "administrator", "hub"]


class AuditFilter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which entries to find; what is absent limits nothing. `since` is included, `until` is not."""

    actor_id: UUID | None = None
    owner_id: UUID | None = None
    action: AuditAction | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class StoredEntry(Struct, frozen=True):
    """An entry as the database has it."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_kind: str
    actor_role: Role | None
    action: AuditAction
    resource_type: str
    resource_id: str
    owner_id: UUID | None
    old_values: Raw | None
    new_values: Raw | None
    ip: str | None
    user_agent: str | None
    endpoint: str | None
    request_id: str | None


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One entry. Values are what changed, null where they are not kept: secrets never are."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_kind: str
    actor_role: Role | None
    """As what a signed-in person acted; null for keys and for the hub itself."""
    action: AuditAction
    resource_type: str
    resource_id: str
    owner_id: UUID | None
    """Whose data the entry is about."""
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None
    ip: str | None
    user_agent: str | None
    endpoint: str | None
    request_id: str | None


class StoredOwnEntry(Struct, frozen=True):
    """An entry that concerns the actor, as the database has it."""

    id: UUID
    at: datetime
    by: Author
    actor_kind: str
    action: AuditAction
    resource_type: str
    resource_id: str
    old_values: Raw | None
    new_values: Raw | None
    ip: str | None
    user_agent: str | None
    endpoint: str | None
    request_id: str | None


class OwnAuditEntry(Struct, frozen=True, kw_only=True):
    """An entry that concerns one's account; of others it says only as what they acted."""

    id: UUID
    at: datetime
    by: Author
    actor_kind: str
    """`api_key` where a key of one's own acted."""
    action: AuditAction
    resource_type: str
    resource_id: str
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None
    ip: str | None
    user_agent: str | None
    endpoint: str | None
    request_id: str | None
