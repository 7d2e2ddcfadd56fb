"""Rotating identifiers: what a powered ring shows to others, and how the hub finds whose it was.

EIDK = HKDF-SHA256(K_eid, "PING-EIDK", 16); EID_j = AES-128(EIDK, "PING-EID" | 0^4 | j u32 LE), with
j the quarter of an hour since the Unix epoch. The construction is that of Exposure Notification
(Apple and Google, Cryptography Specification 1.2), which differs in its labels and its ten minutes.
"""

from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware_bridge.tap import EID_BYTES

KEY_BYTES: Final = 16
WINDOW_MS: Final = 900_000
_WINDOW_MAX: Final = (1 << 32) - 1
_LABEL_BYTES: Final = 12


class Labels(msgspec.Struct, frozen=True):
    """What separates one use of the construction from another."""

    key: bytes
    block: bytes


PING: Final = Labels(b"PING-EIDK", b"PING-EID")


class Sighting(msgspec.Struct, frozen=True):
    """Whose identifier it was, and of which window: its ring's clock stood there."""

    ring_id: bytes
    window: int


def derive(root_key: bytes, labels: Labels = PING) -> bytes:
    """Return the identifier key (EIDK) of a ring's K_eid."""
    return HKDF(SHA256(), KEY_BYTES, None, labels.key).derive(root_key)


def window_of(unix_ms: int) -> int:
    """Return the window that a time is in."""
    return unix_ms // WINDOW_MS


def eid(key: bytes, window: int, labels: Labels = PING) -> bytes:
    """Return the identifier of a window; `key` is what `derive` returned."""
    return _encrypt(key, _block(window, labels))


def open_eid(key: bytes, identifier: bytes, labels: Labels = PING) -> int | None:
    """Return the window of an identifier that was made with this key, else None."""
    decryptor = Cipher(AES(key), ECB()).decryptor()  # noqa: S305  # one block
    block = decryptor.update(identifier)
    if block[:_LABEL_BYTES] != labels.block.ljust(_LABEL_BYTES, b"\0"):
        return None
    return int.from_bytes(block[_LABEL_BYTES:], "little")


class EidIndex:
    """Finds the ring of an identifier; what it holds of the windows is always that of its rings.

    The current window and its neighbours are looked up. An identifier that was heard at another
    time is tried against each ring once, whatever the span: decrypted, it says its window.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}
        self._windows: dict[int, dict[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, ring_id: bytes, root_key: bytes) -> None:
        """Add a ring, or give one another K_eid."""
        self.remove(ring_id)
        key = derive(root_key)
        self._keys[ring_id] = key
        for window, entries in self._windows.items():
            entries[eid(key, window)] = ring_id

    def remove(self, ring_id: bytes) -> None:
        """Forget a ring: lost, revoked or claimed anew, its identifiers resolve to nobody."""
        key = self._keys.pop(ring_id, None)
        if key is None:
            return
        for window, entries in self._windows.items():
            entries.pop(eid(key, window), None)

    def advance(self, now_ms: int) -> None:
        """Hold the windows around this time; costs one AES per ring for each new one."""
        current = window_of(now_ms)
        wanted = range(current - 1, current + 2)
        for window in self._windows.keys() - set(wanted):
            del self._windows[window]
        fresh = [window for window in wanted if window not in self._windows]
        if not fresh:
            return
        tables: list[dict[bytes, bytes]] = [{} for _ in fresh]
        blocks = b"".join(_block(window, PING) for window in fresh)
        for ring_id, key in self._keys.items():
            found = _encrypt(key, blocks)
            for number, table in enumerate(tables):
                table[found[number * EID_BYTES : (number + 1) * EID_BYTES]] = ring_id
        self._windows.update(zip(fresh, tables, strict=True))

    def resolve(self, identifier: bytes, heard_ms: int, uncertainty_ms: int = 0) -> Sighting | None:
        """Return whose identifier was heard at this time, give or take its uncertainty.

        The clock of the ring that showed it may be one window off as well.
        """
        if len(identifier) != EID_BYTES:
            return None
        first = window_of(heard_ms - uncertainty_ms) - 1
        last = window_of(heard_ms + uncertainty_ms) + 1
        for window, entries in self._windows.items():
            if first <= window <= last and (ring_id := entries.get(identifier)) is not None:
                return Sighting(ring_id, window)
        if self._windows and min(self._windows) <= first and last <= max(self._windows):
            return None
        for ring_id, key in self._keys.items():
            window = open_eid(key, identifier)
            if window is not None and first <= window <= last:
                return Sighting(ring_id, window)
        return None


def _block(window: int, labels: Labels) -> bytes:
    if not 0 <= window <= _WINDOW_MAX:
        raise ValueError("a window is a u32")
    return labels.block.ljust(_LABEL_BYTES, b"\0") + window.to_bytes(4, "little")


def _encrypt(key: bytes, blocks: bytes) -> bytes:
    return Cipher(AES(key), ECB()).encryptor().update(blocks)  # noqa: S305  # single blocks
