"""Pure decisions about data keys: which of them seals, and which has had its time."""

from collections.abc import Mapping, Sequence
from typing import Final

from core.blind_indexes import index_mark
from core.crypto import DATA_KEY_VERSION, RING_VERSION
from core.data_keys import ID_BYTES, INDEX_SCOPE
from hub.domains.encryption.schemas import DataKeyStatus, Status, StoredKey

RETIRE_MARGIN_SECONDS: Final = 60.0
"""More than a statement may take: what was sealed in time is committed by then."""


def mark_of(key_id: int) -> bytes:
    """Return what values begin with that are sealed by a data key."""
    return bytes((DATA_KEY_VERSION,)) + key_id.to_bytes(ID_BYTES)


def sealing_keys(keys: Sequence[StoredKey]) -> dict[str, StoredKey]:
    """Return by scope the newest key that has begun to seal."""
    found: dict[str, StoredKey] = {}
    for key in sorted(keys, key=lambda key: key.number):
        if key.wrapped is not None and key.seals_in_seconds <= 0:
            found[key.scope] = key
    return found


def has_had_its_time(key: StoredKey, keys: Sequence[StoredKey], cache_seconds: float) -> bool:
    """Say whether no process can seal with a key any more.

    A process that cannot open its successor seals with it until the cache forgets it.
    """
    grace = cache_seconds + RETIRE_MARGIN_SECONDS
    return key.wrapped is not None and any(
        later.scope == key.scope
        and later.number > key.number
        and later.wrapped is not None
        and later.seals_in_seconds <= -grace
        for later in keys
    )


def status(
    keys: Sequence[StoredKey],
    uses: Mapping[str, Mapping[bytes | None, int]],
    scopes: Mapping[str, str],
    indexes: Mapping[str, Mapping[bytes | None, int]],
) -> Status:
    """Put together keys and marks counted by column; `scopes` by column, `indexes` likewise.

    The empty mark is that of indexes under no index key.
    """
    sealing = sealing_keys(keys)
    by_mark: dict[bytes | None, int] = {}
    to_reseal = 0
    for place, marks in uses.items():
        current = sealing.get(scopes[place])
        for mark, values in marks.items():
            by_mark[mark] = by_mark.get(mark, 0) + values
            if current is None or mark != mark_of(current.id):
                to_reseal += values
    by_index_mark: dict[bytes | None, int] = {}
    for marks in indexes.values():
        for mark, values in marks.items():
            by_index_mark[mark] = by_index_mark.get(mark, 0) + values
    writing = sealing.get(INDEX_SCOPE)
    written = b"" if writing is None else index_mark(writing.id)
    known = {mark_of(key.id) for key in keys if key.wrapped is not None}
    known_to_index = {b""} | {
        index_mark(key.id) for key in keys if key.wrapped is not None and key.scope == INDEX_SCOPE
    }
    return Status(
        data_keys=[
            DataKeyStatus(
                id=key.id,
                scope=key.scope,
                number=key.number,
                state=_state(key, sealing),
                wrapped_by=key.wrapped_by,
                created_at=key.created_at,
                values=by_index_mark.get(index_mark(key.id), 0)
                if key.scope == INDEX_SCOPE
                else by_mark.get(mark_of(key.id), 0),
            )
            for key in keys
        ],
        ring_values={
            str(mark[1]): values
            for mark, values in sorted(by_mark.items(), key=str)
            if mark is not None and mark[0] == RING_VERSION
        },
        unknown_values=sum(
            values
            for mark, values in by_mark.items()
            if mark is None or (mark[0] == DATA_KEY_VERSION and mark not in known)
        )
        + sum(values for mark, values in by_index_mark.items() if mark not in known_to_index),
        to_reseal=to_reseal,
        bare_indexes=by_index_mark.get(b"", 0),
        to_reindex=sum(values for mark, values in by_index_mark.items() if mark != written),
    )


def _state(key: StoredKey, sealing: Mapping[str, StoredKey]) -> str:
    if key.wrapped is None:
        return "retired"
    if key.seals_in_seconds > 0:
        return "announced"
    return "sealing" if sealing.get(key.scope) == key else "opening"
