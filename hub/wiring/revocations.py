"""Which sign-in sessions have ended, so that REST and sockets refuse their access tokens at once.

Orders tell a process. What ended before it began to listen is read from PostgreSQL, and twice a
second what ended lately: without Redis or a relay no order comes.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from core import clock, log
from core.actor import SYSTEM
from core.db import Pool, begin
from core.errors import DomainError
from core.pause import pause_seconds
from hub.domains.accounts import service as accounts
from hub.realtime.cluster.revocations import KEEP_SECONDS, Revocations
from hub.realtime.tokens.claims import TokenInvalidError

_WAIT_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.5
# Events bear the time at which their transaction began; none lasts longer.
_OVERLAP_SECONDS: Final = 30.0
_RETRY_AFTER_SECONDS: Final = 2

_logger = log.get("wiring.revocations")


class RevocationsUnknownError(TimeoutError):
    """PostgreSQL has yet to say which sessions ended: the client is asked to come back."""


class RevocationGuard:
    """Keeps a process's revocations whole, and refuses the tokens of sessions that ended."""

    def __init__(self, pool: Pool, revocations: Revocations) -> None:
        self._pool = pool
        self._revocations = revocations
        self._whole = asyncio.Event()
        self._doubtful = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._read_at = -math.inf
        self._end: Callable[[str], None] = lambda session: revocations.add((session,))

    def start(self, end: Callable[[str], None] | None = None) -> None:
        """Begin to read; call it when orders that are given from now on arrive.

        `end` is called with each session that has ended: it adds to the revocations.
        """
        self._end = end or self._end
        self._task = asyncio.create_task(self._run())

    def doubt(self) -> None:
        """Orders were lost: what they said has to be read."""
        self._whole.clear()
        self._read_at = -math.inf
        self._doubtful.set()

    def end(self, session_id: str) -> None:
        """Take note, on this process, of a session's end that was committed by it."""
        self._end(session_id)

    async def close(self) -> None:
        """Stop reading."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def check(self, session: str) -> None:
        """Return when a session's token may be used, or raise.

        Nothing is awaited between the answer and the return, so no order falls between them.
        """
        if not self._whole.is_set():
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._whole.wait()
            except TimeoutError:
                raise RevocationsUnknownError from None
        if self._revocations.covers(session):
            raise TokenInvalidError

    async def admit(self, session_id: str) -> None:
        """Do as `check`, with REST's refusals."""
        try:
            await self.check(session_id)
        except TokenInvalidError:
            raise DomainError("auth.token_invalid") from None
        except RevocationsUnknownError:
            refusal = DomainError("service.unavailable", retry_after_seconds=_RETRY_AFTER_SECONDS)
            raise refusal from None

    async def _run(self) -> None:
        failures = 0
        while True:
            self._doubtful.clear()
            if await self._read():
                failures = 0
            else:
                failures += 1
                await asyncio.sleep(pause_seconds(failures))
                continue
            # Doubted again meanwhile: what was read may be older than what was lost.
            if not self._doubtful.is_set():
                self._whole.set()
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._doubtful.wait()
        except TimeoutError:
            pass

    async def _read(self) -> bool:
        begun = clock.monotonic_seconds()
        since_seconds = min(begun - self._read_at + _OVERLAP_SECONDS, KEEP_SECONDS)
        try:
            async with begin(self._pool, SYSTEM, read_only=True) as tx:
                ended = await accounts.sessions_revoked_within(tx, seconds=since_seconds)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
            _logger.warning("revocations_unread", error_type=type(error).__name__)
            return False
        self._read_at = begun
        for session in map(str, ended):
            if not self._revocations.covers(session):
                self._end(session)
        return True
