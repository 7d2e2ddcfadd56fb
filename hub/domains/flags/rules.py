"""For whom a flag is on. Pure, and the same in every process and at every time."""

import hashlib
from typing import Final
from uuid import UUID

from hub.domains.flags.schemas import Rule, Subject

_HASH_BITS: Final = 64


def percentile(key: str, user_id: UUID) -> int:
    """Return where a user stands in a flag's rollout, 0 to 99: on from the next percentage on.

    Fixed for a flag and a user, so a higher percentage takes nothing away; another flag's order is
    another one, so that not always the same users come first.
    """
    hashed = hashlib.sha256(f"{key}:{user_id}".encode()).digest()
    return int.from_bytes(hashed[: _HASH_BITS // 8]) * 100 >> _HASH_BITS


def is_rolled_out(rule: Rule, user_id: UUID) -> bool:
    """Say whether the percentage alone lets a flag be on for a user."""
    return rule.enabled and percentile(rule.key, user_id) < rule.percentage


def is_in_cohort(rule: Rule, subject: Subject) -> bool:
    """Say whether a cohort of the flag lets it be on for a user."""
    return rule.enabled and (
        subject.tier in rule.tiers
        or subject.role in rule.roles
        or not set(rule.cohorts).isdisjoint(subject.cohorts)
    )
