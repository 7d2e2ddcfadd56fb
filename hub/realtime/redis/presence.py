"""Presence in Redis: one script that lets go of what has expired before it answers."""

from collections.abc import Sequence

from hub.realtime.presence import TTL_SECONDS, PresenceStats
from hub.realtime.protocol.messages import ClientInfo
from hub.realtime.redis.commands import RedisCommands
from hub.realtime.redis.entries import decode_info, encode_info
from hub.realtime.redis.link import Argument


class RedisPresence:
    """The presence of all processes; expiry goes by the clock of Redis."""

    def __init__(self, commands: RedisCommands, prefix: str) -> None:
        self._commands = commands
        self._prefix = prefix

    async def add(self, channel: str, info: ClientInfo) -> None:
        """Enter a client."""
        await self.renew([(channel, info)])

    async def renew(self, entries: Sequence[tuple[str, ClientInfo]]) -> None:
        """Add many at once: one call of the script per channel, all in one round trip."""
        arguments: dict[str, list[Argument]] = {}
        for channel, info in entries:
            if channel not in arguments:
                arguments[channel] = [*self._keys(channel), "add", TTL_SECONDS]
            arguments[channel] += (info.client, encode_info(info))
        await self._commands.run("presence", list(arguments.values()))

    async def remove(self, channel: str, client_id: str, user: str) -> None:
        """Take a client out."""
        del user  # the entry names it
        await self._commands.run("presence", [[*self._keys(channel), "remove", client_id]])

    async def get(self, channel: str) -> dict[str, ClientInfo]:
        """Return the clients of a channel."""
        found = (await self._commands.run("presence", [[*self._keys(channel), "get"]]))[0]
        infos = [decode_info(entry) for entry in found[1::2]]
        return {info.client: info for info in infos}

    async def stats(self, channel: str) -> PresenceStats:
        """Count clients and users."""
        clients, users = (await self._commands.run("presence", [[*self._keys(channel), "stats"]]))[
            0
        ]
        return PresenceStats(clients, users)

    def _keys(self, channel: str) -> tuple[Argument, ...]:
        return (
            3,
            f"{self._prefix}:presence:{{{channel}}}",
            f"{self._prefix}:presence_expiry:{{{channel}}}",
            f"{self._prefix}:presence_users:{{{channel}}}",
        )
