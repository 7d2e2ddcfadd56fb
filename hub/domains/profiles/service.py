"""What users may do with their own profile."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from core.db import Tx
from core.errors import DomainError
from hub.domains.profiles import queries
from hub.domains.profiles.schemas import ChangePrivacy, PrivacySettings, Profile


async def get_own(tx: Tx) -> Profile:
    """Return the actor's profile."""
    profile = await queries.find_own.first(tx)
    if profile is None:
        raise DomainError("auth.token_invalid", "The account of this token is gone.")
    return profile


async def change_own(
    tx: Tx, *, display_name: str | UnsetType = UNSET, bio: str | UnsetType = UNSET
) -> None:
    """Change what is given of the actor's profile."""
    if display_name is UNSET and bio is UNSET:
        return
    await queries.change_own.run(
        tx,
        display_name is not UNSET,
        display_name if isinstance(display_name, str) else None,
        bio is not UNSET,
        bio if isinstance(bio, str) else None,
    )


async def mark_active(tx: Tx, user_id: UUID, at: datetime) -> None:
    """Note that a user was active; only moves forward. For ping_system."""
    await queries.mark_active.run(tx, user_id, at)


async def get_privacy(tx: Tx) -> PrivacySettings:
    """Return the actor's privacy settings."""
    return _read(await queries.find_privacy.first(tx))


async def change_privacy(tx: Tx, change: ChangePrivacy) -> PrivacySettings:
    """Change what is given and return the whole; holds for whatever is decided from now on."""
    return _read(await queries.change_privacy.first(tx, msgspec.json.encode(change)))


async def lock_privacy(tx: Tx, user_ids: Iterable[UUID]) -> dict[UUID, PrivacySettings]:
    """Return the settings of living accounts, unchangeable until commit. For ping_system."""
    rows = await queries.lock_privacy.all(tx, list(user_ids))
    return {row.user_id: _read(row.settings) for row in rows}


def _read(settings: msgspec.Raw | None) -> PrivacySettings:
    if settings is None:
        raise DomainError("auth.token_invalid", "The account of this token is gone.")
    return msgspec.json.decode(settings, type=PrivacySettings)
