"""Data keys of this process: opened, each for a bounded time; sealing and opening look here.

A key is announced before it seals, so that every process can open what another one seals with it.
A shell refreshes the list (`hub/domains/encryption`); sealing and opening never wait for it, but
whoever begins something may (`come_up_to_date`).
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core import clock
from core.errors import DomainError

DATA_KEY_BYTES: Final = 32
ID_BYTES: Final = 4
INDEX_SCOPE: Final = "index"
"""Of the keys under which blind indexes lie; there is none before the first rotation of them."""
_SIV_KEY_BYTES: Final = 64
_RETRY_AFTER_SECONDS: Final = 2


class UnknownKeyError(Exception):
    """No such data key was ever announced."""


class OpenDataKey(msgspec.Struct, frozen=True):
    """One data key; times by this process's monotonic clock."""

    id: int
    scope: str
    number: int
    cipher: AESGCM
    seals_at: float
    ends_at: float
    """From when on it must have been opened anew."""
    index: AESSIV | None = None
    """Of a key of the scope "index", which seals nothing."""


class DataKeys:
    """At most `cache_seconds` in memory without being opened again by its key-encryption key."""

    def __init__(
        self,
        *,
        cache_seconds: float,
        announce_seconds: float,
        now: Callable[[], float] = clock.monotonic_seconds,
    ) -> None:
        self.cache_seconds = cache_seconds
        self.announce_seconds = announce_seconds
        self.wanted: Callable[[], None] | None = None
        """Called, from any thread, when a key was missed that a refresh may bring."""
        self.renewal: Callable[[], Awaitable[None]] | None = None
        """Waits, in the loop of the shell, for a list that has become old to be read again."""
        self.now = now
        self._keys: dict[int, OpenDataKey] = {}
        self._sealing: dict[str, list[OpenDataKey]] = {}
        self._listed: dict[int, str] = {}
        self._listed_at: float | None = None

    @property
    def is_current(self) -> bool:
        """Whether no key can seal that is not in the list."""
        return self._listed_at is not None and self.now() - self._listed_at < self.announce_seconds

    async def come_up_to_date(self) -> None:
        """Wait a moment if the list is old: the process may have stood still, with its machine."""
        if not self.is_current and self.renewal is not None:
            await self.renewal()

    def sealing(self, scope: str) -> OpenDataKey:
        """Return the newest key of a scope that seals, or raise `service.unavailable`."""
        now = self.now()
        for key in self._sealing.get(scope, ()):
            if key.seals_at <= now < key.ends_at:
                return key
        raise self._missed()

    def opening(self, key_id: int) -> OpenDataKey:
        """Return a key; raises UnknownKeyError, or `service.unavailable` while it is away."""
        now = self.now()
        key = self._keys.get(key_id)
        if key is not None and now < key.ends_at:
            return key
        # Keys are announced for longer than a fresh list is old: what it lacks does not exist.
        if self.is_current and key_id not in self._listed:
            raise UnknownKeyError
        raise self._missed()

    def indexing(self) -> tuple[list[OpenDataKey], list[OpenDataKey]]:
        """Return the keys of blind indexes that write, the newest first, and the announced ones.

        Raises `service.unavailable` while one is away, or while one may have been announced since.
        """
        now = self.now()
        if not self.is_current:
            raise self._missed()
        found: list[OpenDataKey] = []
        for key_id, scope in self._listed.items():
            if scope == INDEX_SCOPE:
                key = self._keys.get(key_id)
                if key is None or now >= key.ends_at:
                    raise self._missed()
                found.append(key)
        found.sort(key=lambda key: key.number, reverse=True)
        writing = [key for key in found if key.seals_at <= now]
        return writing, [key for key in found if key.seals_at > now]

    def is_due(self, key_id: int) -> bool:
        """Say whether a key is to be opened by its key-encryption key, now or again."""
        key = self._keys.get(key_id)
        return key is None or self.now() >= key.ends_at - self.cache_seconds / 2

    def put(
        self, key_id: int, scope: str, number: int, key: bytes, *, seals_in_seconds: float
    ) -> None:
        """Take an opened key; its time begins anew. Of its scope the highest number seals."""
        now = self.now()
        self._keys[key_id] = OpenDataKey(
            key_id,
            scope,
            number,
            AESGCM(key),
            now + seals_in_seconds,
            now + self.cache_seconds,
            _index_cipher(key) if scope == INDEX_SCOPE else None,
        )

    def list_all(self, scopes: Mapping[int, str], *, asked_at: float | None = None) -> None:
        """Take note of which keys there were when one asked, with their scopes; all others go.

        So do those whose time is over. None: now.
        """
        now = self.now()
        self._listed, self._listed_at = dict(scopes), now if asked_at is None else asked_at
        self._keys = {
            key.id: key
            for key in self._keys.values()
            if key.id in self._listed and now < key.ends_at
        }
        sealing: dict[str, list[OpenDataKey]] = {}
        for key in sorted(self._keys.values(), key=lambda key: key.number, reverse=True):
            sealing.setdefault(key.scope, []).append(key)
        self._sealing = sealing

    def _missed(self) -> DomainError:
        if self.wanted is not None:
            self.wanted()
        return DomainError("service.unavailable", retry_after_seconds=_RETRY_AFTER_SECONDS)

    def __repr__(self) -> str:
        return f"DataKeys(ids={sorted(self._keys)})"


def new_data_key() -> tuple[int, bytes]:
    """Return a random id and a random key."""
    key_id = int.from_bytes(os.urandom(ID_BYTES)) or 1
    return key_id, os.urandom(DATA_KEY_BYTES)


def wrap_binding(key_id: int, scope: str) -> bytes:
    """Return the associated data of a wrapped data key."""
    return b"pinghub data key\0" + key_id.to_bytes(ID_BYTES) + scope.encode()


def _index_cipher(key: bytes) -> AESSIV:
    derivation = HKDF(SHA256(), _SIV_KEY_BYTES, salt=None, info=b"pinghub blind index")
    return AESSIV(derivation.derive(key))
