"""Ways to somebody over people who know each other, as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

PathStatus = Literal["identified", "in_progress", "completed", "blocked"]

HOPS_MAX: Final = 6
PATHS_MAX: Final = 1000
# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
_LINE: Final = r"^(?=.*\S)[^\u0000\r\n]*$(?!\n)"
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LINE, examples=["Ada Lovelace"])]
Company = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=_LINE, examples=["Analytical Engines Ltd"])
]
Role = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LINE, examples=["Programmer"])]
Hops = Annotated[int, Meta(ge=1, le=HOPS_MAX)]


class FindPath(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom a way is looked for: a contact, or whoever of the contacts fits all the rest."""

    target_contact_id: Annotated[UUID | None, Meta(examples=[None])] = None
    target_name: Name | None = None
    target_company: Company | None = None
    target_role: Role | None = None
    hops_max: Hops = HOPS_MAX


class KeepPath(FindPath, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, to keep what is found, perhaps for a goal."""

    goal_id: Annotated[UUID | None, Meta(examples=[None])] = None


class ChangePath(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a kept path; absent fields stay as they are."""

    status: PathStatus | UnsetType = UNSET
    goal_id: Annotated[UUID | UnsetType | None, Meta(examples=[None])] = UNSET


class Hop(Struct, frozen=True):
    """A step of a path by ids, as searches are kept."""

    position: int
    contact_id: UUID | None
    person_id: UUID | None
    strength: float


class Person(Struct, frozen=True):
    """A name that the actor may see."""

    id: UUID
    name: str


class Step(Struct, frozen=True):
    """Somebody on the way, and how strongly the one before knows them."""

    position: int
    contact_id: Annotated[UUID | None, Meta(examples=[None])]
    """In one's own address book."""
    person_id: Annotated[UUID | None, Meta(examples=[None])]
    """Who is here themselves, and lets others know that."""
    name: str | None
    """Null: somebody whose name the user may not see, or who is gone."""
    strength: Annotated[float, Meta(ge=0, le=1, examples=[0.8])]


class PathFound(Struct, frozen=True):
    """The shortest way, of several the one with the greatest confidence; or that there is none."""

    found: bool
    length: int
    """Hops from oneself to the target, 0: there is no way."""
    confidence: Annotated[float, Meta(ge=0, le=1, examples=[0.72])]
    """Product of the strengths of all hops."""
    steps: list[Step]
    explanation: Annotated[
        str,
        Meta(examples=["You know Grace Hopper (80 %), who knows Ada Lovelace (90 %)."]),
    ]
    cached: bool
    """Whether the answer is from an earlier search of the last hour."""


class StoredPath(Struct, frozen=True):
    """A kept path as its row has it."""

    id: UUID
    goal_id: UUID | None
    target_contact_id: UUID | None
    target_name: str | None
    target_company: str | None
    target_role: str | None
    length: int
    confidence: float
    status: PathStatus
    created_at: datetime
    updated_at: datetime


class StoredStep(Struct, frozen=True):
    """A step of a kept path as its row has it."""

    path_id: UUID
    position: int
    contact_id: UUID | None
    person_id: UUID | None
    strength: float


class Path(Struct, frozen=True):
    """A way to somebody that the user keeps."""

    id: UUID
    goal_id: Annotated[UUID | None, Meta(examples=[None])]
    target_contact_id: Annotated[UUID | None, Meta(examples=[None])]
    target_name: Annotated[str | None, Meta(examples=[None])]
    target_company: Annotated[str | None, Meta(examples=[None])]
    target_role: Annotated[str | None, Meta(examples=[None])]
    length: int
    confidence: Annotated[float, Meta(ge=0, le=1, examples=[0.72])]
    status: PathStatus
    steps: list[Step]
    explanation: Annotated[
        str,
        Meta(examples=["You know Grace Hopper (80 %), who knows Ada Lovelace (90 %)."]),
    ]
    created_at: datetime
    updated_at: datetime
