"""Reads that may be a little old, from a standby of PostgreSQL while it keeps up.

A standby is asked every few seconds how far behind it is. One that is away, or older than the
settings allow, is spared: the primary answers instead, as it does where there is none. Never for
what somebody may have written just before.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from core import clock, log
from core.actor import Actor
from core.config import Database
from core.db.failure import translated
from core.db.pool import Pool
from core.db.tx import Tx, begin
from core.errors import ConfigError, DomainError

_LOOK_SECONDS: Final = 5.0
# Its answers are for people who wait: a standby that does not answer at once is away.
_CONNECT_SECONDS: Final = 1.0
# Nothing is missing while all that came was replayed and the sender is there. Without a sender the
# age of the last transaction is what is known; a server that is no standby has neither.
_LAG: Final = """
SELECT CASE
  WHEN EXISTS (SELECT FROM pg_stat_wal_receiver)
    AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
  ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)
END::float8
"""

_log = log.get("db")


class Replica:
    """The pool of a standby, if there is one, beside the primary's."""

    def __init__(self, primary: Pool, standby: Pool | None, max_lag_seconds: float) -> None:
        self._primary = primary
        self._standby = standby
        self._max_lag_seconds = max_lag_seconds
        self._looked_at: float | None = None
        self._keeps_up = False

    @classmethod
    async def open(cls, settings: Database, url: str, primary: Pool) -> "Replica":
        """Return the standby of `database.replica_url`, entered by the login of `url`."""
        standby = None
        if settings.replica_url:
            standby = await Pool.open(
                replica_address(settings.replica_url, url),
                max_size=settings.replica_pool_max,
                connect_timeout_seconds=min(settings.connect_timeout_seconds, _CONNECT_SECONDS),
                statement_timeout_seconds=settings.statement_timeout_seconds,
                slow_query_seconds=settings.slow_query_seconds,
            )
        return cls(primary, standby, settings.replica_max_lag_seconds)

    async def close(self) -> None:
        """Close the standby's connections; the primary's pool is its opener's."""
        if self._standby is not None:
            await self._standby.close()

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncGenerator[Tx]:
        """Begin a READ ONLY transaction whose rows may be as old as the settings allow."""
        standby = await self._usable()
        if standby is None:
            async with begin(self._primary, actor, read_only=True) as tx:
                yield tx
        else:
            async with begin(standby, actor, read_only=True, spare=self._primary) as tx:
                yield tx

    async def _usable(self) -> Pool | None:
        if self._standby is None:
            return None
        now = clock.monotonic_seconds()
        if self._looked_at is None or now - self._looked_at >= _LOOK_SECONDS:
            # Whoever comes meanwhile goes by the last answer.
            self._looked_at = now
            self._keeps_up = await self._look(self._standby)
        return self._standby if self._keeps_up else None

    async def _look(self, standby: Pool) -> bool:
        try:
            async with standby.connection() as connection:
                with translated():
                    lag_seconds = await connection.fetchval(_LAG, timeout=_CONNECT_SECONDS)
        except DomainError as error:
            _log.warning("replica_away", error=error.code)
            return False
        if lag_seconds > self._max_lag_seconds:
            _log.warning("replica_late", lag_seconds=round(lag_seconds, 1))
            return False
        return True


def replica_address(replica_url: str, url: str) -> str:
    """Return the standby's address with the login and password that the primary's has.

    Roles are the same on both: they stream too.
    """
    standby, primary = urlsplit(replica_url), urlsplit(url)
    if "@" in standby.netloc:
        raise ConfigError("database.replica_url must be without a login: each process uses its own")
    login = primary.netloc.rpartition("@")[0]
    return urlunsplit(standby._replace(netloc=f"{login}@{standby.netloc}"))
