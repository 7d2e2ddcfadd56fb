"""What contacts care about, as the REST interface takes and shows it."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

DECAY_FACTOR: Final = 0.9
"""What 30 days without reinforcement leave of a confidence."""
SIGN_WEIGHT: Final = 0.3

_WORDS: Final = r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)"
Category = Annotated[
    str, Meta(min_length=1, max_length=50, pattern=_WORDS, examples=["technology"])
]
Topic = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=_WORDS, examples=["analytical engines"])
]
Confidence = Annotated[float, Meta(ge=0, le=1, examples=[0.8])]
Decay = Annotated[float, Meta(gt=0, le=1, examples=[DECAY_FACTOR])]


class PutInterest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody knows a contact to care about, whatever interactions show."""

    category: Category
    topic: Topic
    confidence: Confidence = 1.0
    decay_factor: Decay = DECAY_FACTOR
    """What 30 days without reinforcement leave of the confidence; 1: it never fades."""


class Interest(Struct, frozen=True):
    """What a contact cares about."""

    id: UUID
    contact_id: UUID
    category: str
    topic: str
    confidence: float
    evidence_count: int
    first_detected_at: datetime
    last_reinforced_at: datetime
    decay_factor: float


class ListedInterest(Struct, frozen=True):
    """What one of one's contacts cares about, with who that is."""

    id: UUID
    contact_id: UUID
    full_name: str
    category: str
    topic: str
    confidence: float
    evidence_count: int
    last_reinforced_at: datetime


class Sign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much an interaction says of an interest."""

    weight: Confidence = SIGN_WEIGHT
    """Of what was still open, this much is now believed."""


class Known(Struct, frozen=True):
    """What is known of an interest before another sign of it."""

    confidence: float
    decay_factor: float
    faded_seconds: float
    """Since when `confidence` has not been faded."""


class Support(Struct, frozen=True):
    """An interaction that an interest was seen in."""

    interaction_id: UUID
