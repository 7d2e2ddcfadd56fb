"""Circles of closeness as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from hub.domains.contacts.schemas import SEEN_LINE

CIRCLES_MAX: Final = 100

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=50,
        pattern=SEEN_LINE,
        examples=["Inner circle"],
    ),
]
Tier = Annotated[int, Meta(ge=1, le=6, examples=[1])]
"""1 is the closest."""
Color = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$(?!\n)", examples=["#e4572e"])]
Position = Annotated[int, Meta(ge=0, le=1000, examples=[0])]
CadenceDays = Annotated[int, Meta(ge=1, le=1000, examples=[14])]


class NewCircle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A circle to make: with its members, contact is wanted every `cadence_days`."""

    name: Name
    tier: Tier
    cadence_days: CadenceDays
    color: Color | None = None
    position: Position = 0


class ChangeCircle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a circle; absent fields stay as they are."""

    name: Name | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    cadence_days: CadenceDays | UnsetType = UNSET
    color: Color | UnsetType | None = UNSET
    position: Position | UnsetType = UNSET


class Circle(Struct, frozen=True):
    """A circle of closeness; the health of its primary members is measured by its cadence."""

    id: UUID
    name: Annotated[str, Meta(examples=["Inner circle"])]
    tier: int
    cadence_days: int
    color: str | None
    position: int
    created_at: datetime
    updated_at: datetime


class PutMember(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a contact is in a circle; its first circle is its primary one in any case."""

    is_primary: bool = False


class Member(Struct, frozen=True):
    """A contact in a circle."""

    contact_id: UUID
    full_name: str
    is_primary: bool
    created_at: datetime


class CircleMembership(Struct, frozen=True):
    """A circle that a contact is in."""

    circle_id: UUID
    name: Annotated[str, Meta(examples=["Inner circle"])]
    tier: int
    cadence_days: int
    is_primary: bool
