"""A sealed value opens in its own row and column alone: every column against every other.

tests/core/test_sealed_columns.py holds the list of them against the data dictionary.
"""

import os
from uuid import UUID

import pytest
import pytest_asyncio

from core import ids
from core.crypto import DecryptionError, FieldCipher, KeyRing
from core.db import Pool
from core.sealed_columns import SEALED_COLUMNS, SealedColumn
from tests.hub.domains.encryption.processes import Process

OLD = FieldCipher(KeyRing({1: bytes(32)}))


@pytest_asyncio.fixture
async def process(system_pool: Pool) -> Process:
    process = Process(system_pool, KeyRing({1: bytes(32)}))
    await process.refresh()
    return process


def places(cipher: FieldCipher) -> list[tuple[SealedColumn, UUID, bytes]]:
    """Seal a value for every column of two rows, and of the rows of another user."""
    rows = [ids.new_id() for _ in range(3)]
    return [
        (
            item,
            row,
            cipher.seal(f"{item.place} {row}".encode(), column=item.bound_to, row=row.bytes),
        )
        for item in SEALED_COLUMNS
        for row in rows
    ]


@pytest.mark.req("SEC-01")
@pytest.mark.parametrize("kind", ["data keys", "ring"])
async def test_no_value_opens_in_another_row_or_column(process: Process, kind: str) -> None:
    cipher = process.cipher if kind == "data keys" else OLD
    sealed = places(cipher)
    tried = 0
    for there, row, _ in sealed:
        for here, own_row, value in sealed:
            if row == own_row and here.bound_to == there.bound_to:
                # Its own place, or one that values of a ring move to and from.
                opened = cipher.open(value, column=there.bound_to, row=row.bytes)
                assert opened == f"{here.place} {own_row}".encode()
                continue
            tried += 1
            with pytest.raises(DecryptionError):
                cipher.open(value, column=there.bound_to, row=row.bytes)
    assert tried > len(sealed) ** 2 / 2


async def test_no_other_key_opens_it(process: Process) -> None:
    for item, row, value in places(process.cipher):
        for other in (OLD, FieldCipher(KeyRing({1: os.urandom(32)}))):
            with pytest.raises(DecryptionError):
                other.open(value, column=item.bound_to, row=row.bytes)


async def test_no_changed_byte_opens(process: Process) -> None:
    for item, row, value in places(process.cipher)[:: len(SEALED_COLUMNS)]:
        for at in range(len(value)):
            changed = value[:at] + bytes((value[at] ^ 1,)) + value[at + 1 :]
            with pytest.raises(DecryptionError):
                process.cipher.open(changed, column=item.bound_to, row=row.bytes)
