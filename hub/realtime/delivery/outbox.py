"""Frames for sockets, collected while one read of the broker's connection is worked through.

What came in one read leaves in one write per socket. No timer is involved: an idle hub adds no
latency, a loaded one batches by itself.
"""

import os
from collections.abc import Iterable
from typing import Final

from hub.realtime.delivery.outlet import Direct
from hub.realtime.delivery.registry import Audience
from hub.realtime.figures import TRAFFIC

# Only websockets take frames directly.
_TRAFFIC: Final = TRAFFIC["websocket"]


class Outbox:
    """What was prepared and not yet written; a `flush` empties it before the loop goes on."""

    def __init__(self) -> None:
        self._unsent: list[Audience] = []

    def add(self, audience: Audience, frame: bytes) -> None:
        """Keep a frame for everybody in the audience who takes frames directly."""
        pending = audience.pending
        if not pending:
            self._unsent.append(audience)
        pending.append(frame)

    def flush(self) -> None:
        """Write everything, in order."""
        unsent = self._unsent
        if not unsent:
            return
        self._unsent = []
        count = size = 0
        frames: dict[Direct, bytes] = {}
        alone = len(unsent) == 1
        for audience in unsent:
            pending, sockets = audience.pending, audience.direct
            messages, listeners = len(pending), len(sockets)
            data = pending[0] if messages == 1 else b"".join(pending)
            count += messages * listeners
            size += len(data) * listeners
            pending.clear()
            if alone:
                write_to_all(sockets.values(), data)
                break
            for socket in sockets.values():
                frames[socket] = frames[socket] + data if socket in frames else data
        write = os.write
        for socket, data in frames.items():
            descriptor = socket.descriptor
            if descriptor < 0:
                socket.send(data)
                continue
            try:
                written = write(descriptor, data)
            except OSError:
                written = 0
            if written != len(data):
                socket.send(data[written:])
        _TRAFFIC.messages_sent += count
        _TRAFFIC.bytes_sent += size


def write_to_all(sockets: Iterable[Direct], data: bytes) -> None:
    """Write to each; the kernel's buffer has room unless a client does not read."""
    size = len(data)
    write = os.write
    for socket in sockets:
        descriptor = socket.descriptor
        if descriptor < 0:
            socket.send(data)
            continue
        try:
            written = write(descriptor, data)
        except OSError:
            # A full buffer, or a socket that is gone: the transport finds out which.
            written = 0
        if written != size:
            socket.send(data[written:])
