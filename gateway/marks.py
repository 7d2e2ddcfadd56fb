"""What one connection knows of a ring's records, and how far it may acknowledge them.

STATUS says how many records the ring keeps, the oldest and the newest. Seq never resets, but up to
63 numbers are skipped at a restart, so contiguity is judged inside one boot. An acknowledgement of
a boot may make a ring forget everything older; so none is given across a boot's border before
every record of the snapshot is on disk.
"""

from collections import deque


class Marks:
    """Records received, stored and acknowledged over one connection."""

    def __init__(self) -> None:
        self._in_flight: set[tuple[int, int]] = set()
        self._refused: set[tuple[int, int]] = set()
        self._stored: dict[int, int] = {}
        """Boot by seq of records on disk that the ring may still keep."""
        self._top = 0
        self._known = False
        self._boot = 0
        self._oldest = 0
        self._newest = 0
        self._owed = 0
        self._have = 0
        self._mark = 0
        """Every record that the ring keeps up to this seq is on disk."""
        self._given = 0
        self._confirmed = 0
        self._due: deque[tuple[int, int]] = deque()

    def snapshot(self, boot: int, last_seq: int, oldest_unacked: int, pending: int) -> None:
        """Take over the ring's view; what is older than `oldest_unacked` is nobody's concern."""
        self._known = True
        self._boot = boot
        self._newest = last_seq
        self._oldest = oldest_unacked if pending else last_seq + 1
        self._owed = pending
        self._stored = {seq: b for seq, b in self._stored.items() if seq >= self._oldest}
        self._have = sum(seq <= last_seq for seq in self._stored)
        self._mark = self._oldest - 1
        if self._given == self._confirmed:
            # What the ring keeps although it confirmed our mark must be acknowledged again.
            self._given = self._confirmed = self._mark
        self._due.clear()
        self._refused.clear()  # whatever of it matters is owed by this snapshot
        self._extend()

    def received(self, boot: int, seq: int) -> None:
        """A record is on its way to the disk."""
        self._in_flight.add((boot, seq))

    def stored(self, boot: int, seq: int) -> None:
        """A record is on disk."""
        self._in_flight.discard((boot, seq))
        self._refused.discard((boot, seq))
        if seq in self._stored or (self._known and seq < self._oldest):
            return
        self._stored[seq] = boot
        self._top = max(self._top, seq)
        if self._known:
            self._have += seq <= self._newest
            self._extend()

    def failed(self, boot: int, seq: int) -> None:
        """A record did not reach the disk."""
        self._in_flight.discard((boot, seq))
        self._refused.add((boot, seq))

    def next_ack(self) -> tuple[int, int] | None:
        """Return the next (boot, seq) to acknowledge, older boots first; it counts as given."""
        if not self._due:
            return None
        boot, seq = self._due.popleft()
        self._given = seq
        return boot, seq

    def confirmed(self) -> None:
        """The ring has taken the mark that was given last."""
        self._confirmed = self._given
        if self.is_complete:
            for seq in [seq for seq in self._stored if seq <= self._given]:
                del self._stored[seq]
            # Forgotten on both sides: they no longer count on either.
            self._owed = self._have = sum(seq <= self._newest for seq in self._stored)

    @property
    def is_waiting(self) -> bool:
        """Whether the disk still owes an answer."""
        return bool(self._in_flight)

    @property
    def is_complete(self) -> bool:
        """Whether every record of the snapshot is on disk."""
        return self._known and self._have >= self._owed

    @property
    def has_gap(self) -> bool:
        """Whether the disk refused a record, or one is stored beyond another that is missing."""
        return bool(self._refused) or self._mark < self._top

    def _extend(self) -> None:
        if self.is_complete:
            if self._mark < self._newest:
                for seq in sorted(seq for seq in self._stored if self._mark < seq <= self._newest):
                    self._pass(seq)
                self._mark = self._newest
            boot = self._boot
        else:
            boot = self._stored.get(self._oldest)
        while boot is not None and self._stored.get(self._mark + 1) == boot:
            self._pass(self._mark + 1)

    def _pass(self, seq: int) -> None:
        self._mark = seq
        if seq <= self._given:
            return
        boot = self._stored[seq]
        if self._due and self._due[-1][0] == boot:
            self._due.pop()
        self._due.append((boot, seq))
