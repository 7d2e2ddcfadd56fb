"""Goals and their tags as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

GoalKind = Literal["job", "cofounder", "friend", "romantic", "strategic", "hiring", "mentor"]
Timeline = Literal["urgent", "near_term", "long_term", "evergreen"]
GoalStatus = Literal["active", "achieved", "abandoned"]

TAGS_MAX: Final = 8
GOALS_MAX: Final = 1000
# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
_NOT_BLANK: Final = r"^(?=[\s\S]*\S)[^\u0000]*$(?!\n)"
Intention = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        pattern=_NOT_BLANK,
        examples=["Find somebody who has built an engine before."],
    ),
]
Criteria = Annotated[
    str,
    Meta(
        min_length=1, max_length=2000, pattern=_NOT_BLANK, examples=["We have met twice in person."]
    ),
]


class NewGoal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user wants of whom they know, or will know."""

    kind: GoalKind
    intention: Intention
    timeline: Timeline = "evergreen"
    success_criteria: Criteria | None = None
    contact_id: Annotated[UUID | None, Meta(examples=[None])] = None


class ChangeGoal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a goal; absent fields stay as they are. What is achieved stays achieved."""

    kind: GoalKind | UnsetType = UNSET
    intention: Intention | UnsetType = UNSET
    timeline: Timeline | UnsetType = UNSET
    success_criteria: Criteria | UnsetType | None = UNSET
    contact_id: Annotated[UUID | UnsetType | None, Meta(examples=[None])] = UNSET
    status: GoalStatus | UnsetType = UNSET


class Goal(Struct, frozen=True):
    """A goal of the signed-in user."""

    id: UUID
    contact_id: UUID | None
    kind: GoalKind
    intention: str
    timeline: Timeline
    success_criteria: str | None
    status: GoalStatus
    achieved_at: datetime | None
    tag_ids: list[UUID]
    created_at: datetime
    updated_at: datetime


class GoalTag(Struct, frozen=True):
    """A word by which goals are sorted; the same for everybody."""

    id: UUID
    name: Annotated[str, Meta(examples=["career"])]
    color: Annotated[str, Meta(examples=["#2563eb"])]
    icon: Annotated[str, Meta(examples=["briefcase"])]
