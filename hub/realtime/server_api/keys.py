"""Who may come in by a key: the server API and the live tail share one list."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence


class Keys:
    """The keys of the server API. Without any nobody comes in, with None everybody.

    Several let one be replaced without an interruption.
    """

    def __init__(self, keys: Sequence[str] | None) -> None:
        self._keys = None if keys is None else [_digest(key.encode()) for key in keys if key]

    def open(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Say whether a request's headers hold one of the keys."""
        if self._keys is None:
            return True
        fields = {name.lower(): value for name, value in headers}
        given = fields.get(b"x-api-key", b"")
        if not given:
            scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
            given = key.strip() if scheme.lower() == b"apikey" else b""
        # Every key is compared, each in constant time: the delay says nothing about them, and
        # by digests of one length not even how long they are.
        digest = _digest(given)
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        return any(matches)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
