"""Pure rules of kinds of relationships."""

from typing import Final

from hub.domains.relationship_types.schemas import ScoringWeights

_TOLERANCE: Final = 1e-6


def sums_to_one(weights: ScoringWeights) -> bool:
    """Say whether weights share out the whole score."""
    total = weights.recency + weights.frequency + weights.reciprocity + weights.duration
    return abs(total - 1) < _TOLERANCE
