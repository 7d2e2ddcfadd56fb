"""From one publication to every subscriber: bytes made once per encoding, nothing awaited."""

from enum import Enum, auto

from hub.realtime import codes
from hub.realtime.broker import Publication, StreamPosition
from hub.realtime.delivery import deltas
from hub.realtime.delivery.deltas import Change
from hub.realtime.delivery.outbox import Outbox
from hub.realtime.delivery.registry import Ahead, Audience, Channel, Subscriber
from hub.realtime.protocol import payload
from hub.realtime.protocol.framing import BinaryDataError
from hub.realtime.websocket.prepared import prepare_one


class Arrival(Enum):
    """What a publication meant for the position of its channel."""

    DELIVERED = auto()
    DUPLICATE = auto()
    GAP = auto()
    EPOCH_CHANGED = auto()


class Fanout:
    """Hands publications to subscribers; `flush` has to follow before the loop goes on.

    Between a `deliver` and its `flush` nothing else may write to a subscriber: it would overtake.
    """

    def __init__(self) -> None:
        self._outbox = Outbox()

    def deliver(self, channel: Channel, publication: Publication, epoch: str) -> Arrival:
        """Hand a publication to all subscribers if it is the next one; otherwise say what it is."""
        offset = publication.offset
        channel.quiet = False
        if offset:
            position = channel.position
            if position and (offset != position.offset + 1 or epoch != position.epoch):
                return _explain(position, offset, epoch)
            channel.position = StreamPosition(offset, epoch)
        if channel.joining:
            for joining in channel.joining.values():
                joining.buffered.append(publication)
        self._spread_all(channel, publication)
        return Arrival.DELIVERED

    def invalidate(self, channel: Channel, position: StreamPosition | None) -> list[Subscriber]:
        """Let go of everyone who can no longer be sure of the channel; joining ones read again."""
        self.flush()
        lost = [*channel.live, *channel.ahead]
        channel.audiences.clear()
        channel.ahead.clear()
        for joining in channel.joining.values():
            joining.broken = True
        channel.position = position
        channel.last = None
        return lost

    def flush(self) -> None:
        """Write what was delivered to sockets that take frames directly."""
        self._outbox.flush()

    def _spread_all(self, channel: Channel, publication: Publication) -> None:
        """Every publication passes here in every process: what is rare stands elsewhere."""
        refused: list[Audience] | None = None
        has_deltas = False
        for audience in channel.audiences.values():
            framing, is_delta, _, deflated = audience.encoding
            if is_delta:
                has_deltas = True
                continue
            try:
                message = framing.publication_push(audience.prefix, publication)
            except BinaryDataError:
                refused = [*(refused or ()), audience]
                continue
            if audience.direct:
                frame = prepare_one(framing, message, deflated=deflated)
                self._outbox.add(audience, frame)
            if audience.queued or audience.filtered or channel.ahead:
                self._spread_singly(channel, audience, publication, message)
        if has_deltas:
            self._spread_deltas(channel, publication)
        if refused:
            self._refuse(channel, refused)

    def _spread_deltas(self, channel: Channel, publication: Publication) -> None:
        change = deltas.change(channel.last, publication)
        first: list[tuple[Audience, list[Subscriber]]] = []
        refused: list[Audience] = []
        for audience in channel.audiences.values():
            encoding = audience.encoding
            if not encoding.delta:
                continue
            if not encoding.patched:
                first.append((audience, list(audience)))
            try:
                message = _encode(audience, publication, change)
            except BinaryDataError:
                refused.append(audience)
                continue
            if audience.direct:
                frame = prepare_one(encoding.framing, message, deflated=encoding.deflated)
                self._outbox.add(audience, frame)
            self._spread_singly(channel, audience, publication, message)
        if refused:
            self._refuse(channel, refused)
        self._move_on(channel, change, first)

    def _spread_singly(
        self, channel: Channel, audience: Audience, publication: Publication, message: bytes
    ) -> None:
        for subscriber in audience.queued:
            subscriber.write(message)
        if audience.filtered:
            tags = payload.decode(publication.payload).tags
            for subscriber, wants in audience.filtered.items():
                if wants(tags):
                    subscriber.write(message)
        if channel.ahead:
            self._catch_up(channel, audience, publication, message)

    def _catch_up(
        self, channel: Channel, audience: Audience, publication: Publication, message: bytes
    ) -> None:
        offset = publication.offset
        for subscriber, ahead in list(channel.ahead.items()):
            if ahead.audience is not audience:
                continue
            if (not offset or offset > ahead.offset) and _is_wanted(ahead, publication):
                subscriber.write(message)
            if offset >= ahead.offset:
                # What is pending here was made before it stood at the channel's position.
                self.flush()
                del channel.ahead[subscriber]
                audience.enter(subscriber, ahead.tags_filter)

    def _move_on(
        self, channel: Channel, change: Change, first: list[tuple[Audience, list[Subscriber]]]
    ) -> None:
        """Give patches from now on to those who got their first publication, whole."""
        if first:
            # What is pending here was made for those who are here now.
            self.flush()
        for audience, subscribers in first:
            patched = channel.audience(audience.encoding._replace(patched=True))
            for subscriber in subscribers:
                if audience.leave(subscriber):
                    patched.enter(subscriber, None)
        channel.last = change.whole
        channel.drop_empty_audiences()

    def _refuse(self, channel: Channel, refused: list[Audience]) -> None:
        """Close those whose format cannot carry the publication."""
        self.flush()
        for audience in refused:
            waiting = [item for item, ahead in channel.ahead.items() if ahead.audience is audience]
            for subscriber in (*audience, *waiting):
                subscriber.close(codes.CLOSE_INAPPROPRIATE_PROTOCOL)


def _encode(audience: Audience, publication: Publication, change: Change) -> bytes:
    patch = change.patch if audience.encoding.patched else None
    return audience.encoding.framing.publication_push(
        audience.prefix,
        publication,
        data=change.whole if patch is None else patch,
        delta=patch is not None,
    )


def _explain(position: StreamPosition, offset: int, epoch: str) -> Arrival:
    """Say why a publication does not follow the position."""
    if epoch != position.epoch:
        return Arrival.EPOCH_CHANGED
    return Arrival.DUPLICATE if offset <= position.offset else Arrival.GAP


def _is_wanted(ahead: Ahead, publication: Publication) -> bool:
    return ahead.tags_filter is None or ahead.tags_filter(payload.decode(publication.payload).tags)
