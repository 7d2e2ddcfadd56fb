"""Which sign-in sessions have ended: told by orders while a process lives, read where it begins.

Orders reach a running process within a second. What ended before it began to listen, or while
orders were lost, is read from PostgreSQL, once; connecting clients wait for that.
"""

import asyncio
from typing import Final

from core import log
from core.actor import SYSTEM
from core.db import Pool, begin
from core.pause import pause_seconds
from hub.domains.accounts import service as accounts
from hub.realtime.cluster.revocations import KEEP_SECONDS, Revocations
from hub.realtime.tokens.claims import TokenInvalidError

_WAIT_SECONDS: Final = 2.0

_logger = log.get("wiring.revocations")


class RevocationsUnknownError(TimeoutError):
    """PostgreSQL has yet to say which sessions ended: the client is asked to come back."""


class RevocationGuard:
    """Keeps a hub's revocations whole, and refuses the tokens of sessions that ended."""

    def __init__(self, pool: Pool, revocations: Revocations) -> None:
        self._pool = pool
        self._revocations = revocations
        self._whole = asyncio.Event()
        self._doubtful = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; call it when orders that are given from now on arrive."""
        self._doubtful.set()
        self._task = asyncio.create_task(self._run())

    def doubt(self) -> None:
        """Orders were lost: what they said has to be read."""
        self._whole.clear()
        self._doubtful.set()

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

    async def _run(self) -> None:
        while True:
            await self._doubtful.wait()
            self._doubtful.clear()
            failures = 0
            while not await self._read():
                failures += 1
                await asyncio.sleep(pause_seconds(failures))
            # Doubted again meanwhile: what was read may be older than what was lost.
            if not self._doubtful.is_set():
                self._whole.set()

    async def _read(self) -> bool:
        try:
            async with begin(self._pool, SYSTEM, read_only=True) as tx:
                ended = await accounts.sessions_revoked_within(tx, seconds=KEEP_SECONDS)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again
            _logger.warning("revocations_unread", error_type=type(error).__name__)
            return False
        self._revocations.add(map(str, ended))
        return True
