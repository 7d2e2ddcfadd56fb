"""Deltas: what subscriptions that asked for them get instead of a publication's data.

A patch is always against the publication before. Who has not seen that one gets the whole.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Raw

from hub.realtime.broker import Publication
from hub.realtime.protocol import fossil, payload
from hub.realtime.protocol.framing import Framing

# One recovery must not hold up everybody: patches cost some 10 to 70 µs per KiB.
_RECOVERY_MAX_BYTES: Final = 131_072


class Change(NamedTuple):
    """A publication's data, and the patch that makes it of the one before where that is smaller."""

    whole: bytes
    patch: bytes | None


def change(before: bytes | None, publication: Publication) -> Change:
    """Return what a publication changed; without `before` there is only the whole."""
    whole = payload.decode(publication.payload).content
    return Change(whole, None if before is None else fossil.patch(before, whole))


def recovered(framing: Framing, items: Sequence[Publication]) -> list[Raw]:
    """Return recovered publications: the first whole, then patches, or the whole where too long."""
    found: list[Raw] = []
    before: bytes | None = None
    patched_bytes = 0
    for item in items:
        step = change(before if patched_bytes < _RECOVERY_MAX_BYTES else None, item)
        if step.patch is None:
            found.append(framing.publication(item, data=step.whole))
        else:
            found.append(framing.publication(item, data=step.patch, delta=True))
        before = step.whole
        patched_bytes += len(before)
    return found
