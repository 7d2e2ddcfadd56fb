"""Intervals as people write them on the command line."""

from typing import Final

from core.errors import ConfigError

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}


def parse_duration(text: str) -> float:
    """Read `4s`, `500ms` or `2m` as seconds, or raise ConfigError."""
    number = text.rstrip("ms")
    unit = text[len(number) :] or "s"
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < 86_400:  # noqa: PLR2004  # a day
        raise ConfigError(f"{text!r} is no interval: write 4s, 500ms or 2m")
    return seconds
