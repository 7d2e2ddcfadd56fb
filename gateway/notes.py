"""What an outage has left to tell: kept in the spool, sent when no tap waits for its turn."""

from gateway.spool import Spool, SpoolUnavailableError
from gateway.uplink import Uplink

NOTES_AT_ONCE = 16


class Notes:
    """Messages of less worth than a tap, between spool and broker."""

    def __init__(self, spool: Spool, uplink: Uplink) -> None:
        self._spool = spool
        self._uplink = uplink
        self._may_wait = True
        self._by_mid: dict[int, int] = {}

    async def keep(self, topic: str, payload: bytes) -> None:
        """Keep a message; raises SpoolUnavailableError."""
        await self._spool.note(topic, payload)
        self._may_wait = True

    async def send(self) -> None:
        """Send the next ones, unless the last are still unanswered."""
        if not self._may_wait or self._by_mid:
            return
        try:
            notes = await self._spool.notes(NOTES_AT_ONCE)
        except SpoolUnavailableError:
            return
        self._may_wait = bool(notes)
        for note in notes:
            mid = self._uplink.publish(note.topic, note.payload)
            if mid is None:
                return
            self._by_mid[mid] = note.id

    def awaits(self, mid: int) -> bool:
        """Whether this packet is a note's."""
        return mid in self._by_mid

    async def answered(self, mid: int) -> None:
        """The broker has answered a packet: whatever it says, a note is not sent twice."""
        note_id = self._by_mid.pop(mid, None)
        if note_id is None:
            return
        try:
            await self._spool.forget_notes([note_id])
        except SpoolUnavailableError:
            self._may_wait = True  # it stays, and is told once more: harmless

    def link_lost(self) -> None:
        """Unanswered ones are to be sent again."""
        self._by_mid.clear()
        self._may_wait = True
