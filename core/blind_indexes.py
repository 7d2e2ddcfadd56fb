"""Blind indexes as the database holds them: found by every key that lives, written by the newest.

The HMAC of a normal form (`core.crypto.blind_index`) lies under an index key (AES-SIV, RFC 5297:
the same in, the same out). So an index moves to the next key without the value that it was made
of, which the hub need not keep. Before the first index key it lies there as it is.
"""

from typing import Final

from cryptography.exceptions import InvalidTag

from core.data_keys import ID_BYTES, DataKeys, OpenDataKey, UnknownKeyError

HMAC_BYTES: Final = 32
INDEX_VERSION: Final = 3
"""What values under an index key begin with, before its id; sealed ones begin with 1 or 2."""
_MARK_BYTES: Final = 1 + ID_BYTES


class UnreadableIndexError(Exception):
    """The value is under no key that there is, or is no index."""


class BlindIndexes:
    """Stored forms of blind indexes; without data keys, as they were before there were any.

    Raises `service.unavailable` while an index key is away: what is there must not seem not to be.
    """

    def __init__(self, data_keys: DataKeys | None) -> None:
        self._data_keys = data_keys

    def mark(self) -> bytes:
        """Return how values begin that are written now; empty: there is no index key."""
        writing, _ = self._keys()
        return index_mark(writing[0].id) if writing else b""

    def written(self, index: bytes) -> bytes:
        """Return the form in which an HMAC is stored."""
        return self.live(index)[0]

    def live(self, index: bytes) -> list[bytes]:
        """Return every form in which an HMAC may be stored, the one that is written first."""
        writing, announced = self._keys()
        # Bare between them: written where no key's time has come, read until all are moved.
        return [
            *(_under(key, index) for key in writing),
            index,
            *(_under(key, index) for key in announced),
        ]

    def renewed(self, stored: bytes) -> bytes:
        """Return a stored value as it is written now, or raise UnreadableIndexError."""
        return self.written(self._bare(stored))

    def _keys(self) -> tuple[list[OpenDataKey], list[OpenDataKey]]:
        return ([], []) if self._data_keys is None else self._data_keys.indexing()

    def _bare(self, stored: bytes) -> bytes:
        if len(stored) == HMAC_BYTES:
            return stored
        if self._data_keys is None or stored[:1] != bytes((INDEX_VERSION,)):
            raise UnreadableIndexError("not a blind index")
        mark = stored[:_MARK_BYTES]
        try:
            key = self._data_keys.opening(int.from_bytes(mark[1:]))
            if key.index is None:
                raise UnreadableIndexError("under a key that is none of indexes")
            return key.index.decrypt(stored[_MARK_BYTES:], [mark])
        except UnknownKeyError:
            raise UnreadableIndexError("under an unknown index key") from None
        except InvalidTag:
            raise UnreadableIndexError("changed, or under another key") from None


def index_mark(key_id: int) -> bytes:
    """Return what values begin with that are under an index key."""
    return bytes((INDEX_VERSION,)) + key_id.to_bytes(ID_BYTES)


def _under(key: OpenDataKey, index: bytes) -> bytes:
    assert key.index is not None  # noqa: S101  # DataKeys lists those of the scope alone
    mark = index_mark(key.id)
    return mark + key.index.encrypt(index, [mark])
