"""Recovery: pure functions that decide what a subscriber missed. Never partial, never a guess."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hub.realtime.broker import History, Publication, StreamPosition


class Merged(msgspec.Struct, frozen=True):
    """What a subscriber gets: `publications` and `top` in the reply, then `late` as pushes.

    `position` is where the subscriber stands after all of it.
    """

    publications: list[Publication]
    late: list[Publication]
    top: StreamPosition
    position: StreamPosition
    recovered: bool


def missed(since: StreamPosition, history: History, limit: int) -> list[Publication] | None:
    """Return everything after `since`, or None when that cannot be proved complete.

    `history` was read after `since.offset` with a limit above `limit`. An empty request epoch
    accepts any stream; an offset beyond the top belongs to a stream that is gone.
    """
    if since.epoch and since.epoch != history.top.epoch:
        return None
    count = history.top.offset - since.offset
    publications = history.publications
    if count > limit or len(publications) != count:
        return None
    if count and (
        publications[0].offset != since.offset + 1 or publications[-1].offset != history.top.offset
    ):
        return None
    return publications


def latest(since: StreamPosition, history: History) -> list[Publication] | None:
    """Return the newest publication unless the client has it, or None when it is not kept.

    For channels that are caches: only the last state counts. `history` holds the newest alone.
    """
    has_it = 0 < since.offset == history.top.offset and since.epoch == history.top.epoch
    if has_it:
        return []
    newest = history.publications[:1]
    return newest if newest and newest[0].offset == history.top.offset else None


def merge(
    since: StreamPosition | None,
    history: History,
    buffered: Sequence[Publication],
    limit: int,
    *,
    as_cache: bool = False,
) -> Merged | None:
    """Join history with what arrived live while it was read; None when a publication is missing.

    Without `since`, or when it cannot be recovered, the subscriber starts at the top.
    """
    recovered = None
    if since:
        recovered = latest(since, history) if as_cache else missed(since, history, limit)
    offset = history.top.offset
    late: list[Publication] = []
    for publication in buffered:
        if publication.offset <= offset:
            continue
        if publication.offset != offset + 1:
            return None
        offset = publication.offset
        late.append(publication)
    return Merged(
        publications=recovered or [],
        late=late,
        top=history.top,
        position=StreamPosition(offset, history.top.epoch),
        recovered=recovered is not None,
    )


def within(found: Mapping[str, Merged | None], max_bytes: int) -> dict[str, Merged | None]:
    """Let together no more than so many bytes be recovered: who missed more reads it elsewhere."""
    kept: dict[str, Merged | None] = {}
    for channel, merged in found.items():
        size = sum(len(item.payload) for item in merged.publications) if merged else 0
        if merged and size > max_bytes:
            kept[channel] = msgspec.structs.replace(merged, publications=[], recovered=False)
        else:
            kept[channel] = merged
            max_bytes -= size
    return kept


def page(publications: Sequence[Publication], max_bytes: int) -> Sequence[Publication]:
    """Return the first publications that have no more bytes together, but at least one."""
    for number, item in enumerate(publications):
        max_bytes -= len(item.payload)
        if max_bytes < 0:
            return publications[: max(1, number)]
    return publications


NOTHING: Final = History([], StreamPosition())
"""The history of a channel that keeps none."""
