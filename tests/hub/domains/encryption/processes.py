"""Processes of the hub as far as their keys go, each with a clock that a test sets."""

from uuid import UUID

from core import config
from core.crypto import FieldCipher, KeyRing
from core.data_keys import DataKeys
from core.db import Pool
from hub.domains.encryption import service
from hub.domains.encryption.schemas import Rotated
from hub.providers.key_wrapping import Wrapping, open_wrapping


class Process:
    """What one process of the hub keeps: a cipher, and the time that a test gives it."""

    def __init__(self, pool: Pool, ring: KeyRing | None, keys: config.Keys | None = None) -> None:
        self.pool = pool
        self.seconds = 0.0
        self.data_keys = DataKeys(cache_seconds=3600, announce_seconds=60, now=lambda: self.seconds)
        self.cipher = FieldCipher(ring, self.data_keys)
        self.wrapping: Wrapping = open_wrapping(keys or config.Keys(), ring)

    async def refresh(self) -> None:
        await service.refresh(self.pool, self.data_keys, self.wrapping)

    def seal(self, text: bytes, row: UUID, column: str = "users.email") -> bytes:
        return self.cipher.seal(text, column=column, row=row.bytes)

    def open(self, sealed: bytes, row: UUID, column: str = "users.email") -> bytes:
        return self.cipher.open(sealed, column=column, row=row.bytes)


def unheard(_place: str, _values: int) -> None:
    """Take a rotation's progress and say nothing."""


async def rotate(
    process: Process, *, new_keys: bool = False, new_index_key: bool = False
) -> Rotated:
    """Do what `pinghub keys rotate` does."""
    return await service.rotate(
        process.pool,
        process.cipher,
        process.wrapping,
        with_new_keys=new_keys,
        with_new_index_key=new_index_key,
        progress=unheard,
    )
