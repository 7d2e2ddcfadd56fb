"""Which subscription tier an account is in, for the limits, without a question per request.

A process asks PostgreSQL once per account and believes the answer until an event says otherwise:
it looks for these twice a second, so a change holds everywhere within a second.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

from core import clock, log
from core.actor import SYSTEM
from core.db import Pool, begin
from core.errors import DomainError
from hub.http import queries
from hub.http.limits import Tier

_LOOK_SECONDS: Final = 0.5
# Events bear the time at which their transaction began; none lasts longer.
_OVERLAP_SECONDS: Final = 30.0
_KNOWN_MAX: Final = 100_000

_logger = log.get("http.tiers")


class Tiers:
    """Knows the tiers of the accounts that this process has met."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[UUID, Tier] = {}
        self._looked_at = math.inf

    async def of(self, user_id: UUID) -> Tier:
        """Return the tier of an account; while PostgreSQL is away an unknown one is free."""
        known = self._known.get(user_id)
        if known is not None:
            return known
        try:
            async with begin(self._pool, SYSTEM, read_only=True) as tx:
                found = await queries.find_tier.first(tx, user_id)
        except DomainError:
            return "free"
        while len(self._known) >= _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        tier: Tier = found.tier if found else "free"
        self._known[user_id] = tier
        return tier

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Forget changed tiers until the block ends."""
        self._looked_at = clock.monotonic_seconds()
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
                _logger.warning("tiers_unread", error_type=type(error).__name__)

    async def _look(self) -> None:
        if not self._known:
            self._looked_at = clock.monotonic_seconds()
            return
        begun = clock.monotonic_seconds()
        since_seconds = begun - self._looked_at + _OVERLAP_SECONDS
        async with begin(self._pool, SYSTEM, read_only=True) as tx:
            changed = await queries.tiers_changed_within.all(tx, since_seconds)
        # What was asked for meanwhile may be older than the change: the next look is soon.
        for user_id in changed:
            self._known.pop(user_id, None)
        self._looked_at = begun
