"""Feature flags and cohorts as the REST interface and the command line take and show them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from core.actor import Role
from hub.domains.accounts.schemas import SubscriptionTier

FLAGS_MAX: Final = 500
"""All of them are in every process's memory."""
COHORTS_MAX: Final = 200
NAME_PATTERN: Final = r"^[a-z][a-z0-9_.-]{0,63}$(?!\n)"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Note = Annotated[str, Meta(max_length=500, pattern=r"^[^\u0000]*$")]
Percentage = Annotated[int, Meta(ge=0, le=100)]
Names = Annotated[list[Name], Meta(max_length=64)]


class PutFlag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag: on for its cohorts and for so many percent of all users, if it is enabled."""

    enabled: bool
    percentage: Percentage = 0
    cohorts: Names = []
    description: Note = ""


class ChangeFlag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a flag; absent fields stay as they are."""

    enabled: bool | UnsetType = UNSET
    percentage: Percentage | UnsetType = UNSET
    cohorts: Names | UnsetType = UNSET
    description: Note | UnsetType = UNSET


class Flag(Struct, frozen=True):
    """A flag as administrators see it."""

    key: str
    enabled: bool
    percentage: int
    cohorts: list[str]
    description: str
    created_at: datetime
    updated_at: datetime


class PutCohort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole cohort but for its members: who pays for one of `tiers` or has one of `roles`."""

    tiers: Annotated[list[SubscriptionTier], Meta(max_length=3)] = []
    roles: Annotated[list[Role], Meta(max_length=3)] = []
    description: Note = ""


class Cohort(Struct, frozen=True):
    """A group of users: named members, and all of a tier or a role."""

    name: str
    tiers: list[SubscriptionTier]
    roles: list[Role]
    description: str
    created_at: datetime
    updated_at: datetime


class CohortMember(Struct, frozen=True):
    """A user who was put into a cohort."""

    user_id: UUID
    created_at: datetime


class OwnFlags(Struct, frozen=True):
    """The flags that are on for whoever asks; all others are off, whether they exist or not."""

    on: list[str]


class Rule(Struct, frozen=True):
    """A flag as processes keep it, with the tiers and roles of all its cohorts."""

    key: str
    enabled: bool
    percentage: int
    cohorts: list[str]
    tiers: list[SubscriptionTier]
    roles: list[Role]


class Subject(Struct, frozen=True):
    """What cohorts ask of a user; `cohorts` are those with the user as a named member."""

    role: Role
    tier: SubscriptionTier
    cohorts: list[str]
