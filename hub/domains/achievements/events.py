"""Payload of the event of achievements; written by app.emit_achievement."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hub.domains.achievements.schemas import AchievementTier


class AchievementUnlocked(Struct, frozen=True, kw_only=True, tag="achievement.unlocked"):
    """The user has achieved something."""

    achievement_id: UUID
    code: str
    name: str
    tier: AchievementTier
    points: int
    unlocked_at: datetime
