"""Kinds of relationships as the REST interface takes and shows them."""

from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hub.domains.contacts.schemas import SEEN_LINE

TYPES_MAX: Final = 50
TYPE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}$(?!\n)"

Weight = Annotated[float, Meta(ge=0, le=1, examples=[0.25])]
DecayRate = Annotated[float, Meta(ge=0.1, le=10, examples=[1.5])]
TypeName = Annotated[str, Meta(pattern=TYPE_PATTERN, examples=["mentor"])]
DisplayName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=50,
        pattern=SEEN_LINE,
        examples=["Mentor"],
    ),
]


class ScoringWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts how much in a score; together 1. The JSON of relationship_types."""

    recency: Weight
    frequency: Weight
    reciprocity: Weight
    duration: Weight


class NewType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of relationship of one's own; with `decay_rate` 2 contact fades twice as fast."""

    name: TypeName
    display_name: DisplayName
    scoring_weights: ScoringWeights
    decay_rate: DecayRate = 1.0


class ChangeType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a kind of relationship; absent fields stay as they are."""

    display_name: DisplayName | UnsetType = UNSET
    scoring_weights: ScoringWeights | UnsetType = UNSET
    decay_rate: DecayRate | UnsetType = UNSET


class RelationshipType(Struct, frozen=True, kw_only=True):
    """A kind of relationship; `is_builtin`: everybody's, and nobody's to change."""

    id: UUID
    name: Annotated[str, Meta(examples=["mentor"])]
    display_name: Annotated[str, Meta(examples=["Mentor"])]
    scoring_weights: ScoringWeights
    decay_rate: float
    is_builtin: bool


class TypeRow(Struct, frozen=True):
    """A kind of relationship as the database has it."""

    id: UUID
    is_builtin: bool
    name: str
    display_name: str
    scoring_weights: Raw
    decay_rate: float
