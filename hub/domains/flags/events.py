"""Payloads of events about feature flags; written by migrations/objects/events.sql.

They name no flag: what is not yet on for somebody is not told to them.
"""

import msgspec


class FlagsChanged(msgspec.Struct, frozen=True, tag="flags.changed"):
    """Flags may be on or off for other users than before: read GET /v1/flags again."""


class CohortJoined(msgspec.Struct, frozen=True, tag="cohort.joined"):
    """The user was put into a cohort: read GET /v1/flags again."""


class CohortLeft(msgspec.Struct, frozen=True, tag="cohort.left"):
    """The user was taken out of a cohort: read GET /v1/flags again."""
