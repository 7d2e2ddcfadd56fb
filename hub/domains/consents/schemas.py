"""Consents as the REST interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

Purpose = Literal[
    "ai_processing",
    "analytics",
    "calendar",
    "contact_matching",
    "enrichment",
    "gmail",
    "introductions",
    "linkedin",
    "location",
    "marketing",
]
ConsentSource = Literal["onboarding", "prompt", "settings"]
"""Where the app asked: on the first steps, when something needed it, or in its settings."""


class Consent(Struct, frozen=True, kw_only=True):
    """A purpose, the words that ask for it, and what the user has said; null: not asked yet."""

    purpose: Purpose
    text: str
    current_version: int
    """The version of `text`; send it with the consent, so that it is known what was agreed to."""
    granted: bool
    text_version: int | None
    source: ConsentSource | None
    granted_at: datetime | None
    withdrawn_at: datetime | None


class Decide(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision. `text_version` is of the words that the person saw; to withdraw needs none."""

    granted: bool
    text_version: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    source: ConsentSource = "settings"


class StoredConsent(Struct, frozen=True):
    """What the user has said last about a purpose."""

    purpose: Purpose
    granted: bool
    text_version: int
    source: ConsentSource
    granted_at: datetime | None
    withdrawn_at: datetime | None


class Decision(Struct, frozen=True):
    """One decision of the past."""

    id: UUID
    purpose: Purpose
    granted: bool
    text_version: int
    source: ConsentSource
    decided_at: datetime
