"""Who is in a channel right now: the port, and its memory of a single process.

An entry is one client in one channel. It lives 60 seconds and whoever added it renews it, so what
a dead process leaves behind vanishes by itself.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from core import clock
from hub.realtime.protocol.messages import ClientInfo

TTL_SECONDS: Final = 60


class PresenceStats(msgspec.Struct, frozen=True):
    """How many clients are in a channel, and how many users they belong to."""

    num_clients: int = 0
    num_users: int = 0


class Presence(Protocol):
    """Keeps entries. Every call may raise BrokerUnavailableError."""

    async def add(self, channel: str, info: ClientInfo) -> None:
        """Enter a client, or replace what is known of it."""
        ...

    async def renew(self, entries: Sequence[tuple[str, ClientInfo]]) -> None:
        """Add many at once in one round trip; entries that have vanished meanwhile come back."""
        ...

    async def remove(self, channel: str, client_id: str, user: str) -> None:
        """Take a client out; one that is not there is no error."""
        ...

    async def get(self, channel: str) -> dict[str, ClientInfo]:
        """Return the clients of a channel by their ids."""
        ...

    async def stats(self, channel: str) -> PresenceStats:
        """Count the clients and users of a channel."""
        ...


class MemoryPresence:
    """The presence of a single process."""

    def __init__(self, now: Callable[[], float] = clock.monotonic_seconds) -> None:
        self._now = now
        self._channels: dict[str, dict[str, tuple[float, ClientInfo]]] = {}

    async def add(self, channel: str, info: ClientInfo) -> None:
        """Enter a client."""
        entries = self._channels.setdefault(channel, {})
        # At the end: entries stand in the order of their expiry.
        entries.pop(info.client, None)
        entries[info.client] = (self._now() + TTL_SECONDS, info)

    async def renew(self, entries: Sequence[tuple[str, ClientInfo]]) -> None:
        """Add many at once."""
        for channel, info in entries:
            await self.add(channel, info)

    async def remove(self, channel: str, client_id: str, user: str) -> None:
        """Take a client out."""
        del user
        entries = self._channels.get(channel, {})
        entries.pop(client_id, None)
        self._prune(channel, entries)

    async def get(self, channel: str) -> dict[str, ClientInfo]:
        """Return the clients of a channel."""
        entries = self._channels.get(channel, {})
        self._prune(channel, entries)
        return {client: info for client, (_, info) in entries.items()}

    async def stats(self, channel: str) -> PresenceStats:
        """Count clients and users."""
        found = await self.get(channel)
        return PresenceStats(len(found), len({info.user for info in found.values()}))

    def _prune(self, channel: str, entries: dict[str, tuple[float, ClientInfo]]) -> None:
        now = self._now()
        while entries:
            oldest = next(iter(entries))
            if entries[oldest][0] > now:
                return
            del entries[oldest]
        self._channels.pop(channel, None)
