"""Pure rules of interests: how belief in them grows and fades."""

import unicodedata
from typing import Final

DECAY_SECONDS: Final = 30 * 24 * 3600.0
"""In this time `decay_factor` is what is left."""


def faded(confidence: float, decay_factor: float, elapsed_seconds: float) -> float:
    """Return what time has left of a confidence: `c * decay_factor ^ (elapsed / 30 days)`.

    In steps or at once, the result is the same. Never more than before, also if clocks go back.
    """
    return confidence * decay_factor ** (max(elapsed_seconds, 0.0) / DECAY_SECONDS)


def reinforced(confidence: float, weight: float) -> float:
    """Return the confidence after another independent sign: `1 - (1 - c)(1 - weight)`.

    So the order of signs does not matter, each raises it, and none raises it above 1.
    """
    return min(1.0, confidence + (1.0 - confidence) * weight)


def plain(text: str) -> str:
    """Return a category or topic as it is kept: of any spelling with the same letters one."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
