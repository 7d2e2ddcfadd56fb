"""Data keys as the operator sees them, and how far a rotation is."""

from datetime import datetime

from msgspec import Struct


class StoredKey(Struct, frozen=True):
    """A row of data_keys; without `wrapped` it is retired."""

    id: int
    scope: str
    number: int
    wrapped: bytes | None
    wrapped_by: str | None
    seals_in_seconds: float
    created_at: datetime


class ColumnUse(Struct, frozen=True):
    """How many values of a column begin with the mark of one key; none: with what is no mark."""

    mark: bytes | None
    values: int


class DataKeyStatus(Struct, frozen=True):
    """One data key and how many values it seals."""

    id: int
    scope: str
    number: int
    state: str
    """`announced`, `sealing`, `opening` (values of it may remain) or `retired`."""
    wrapped_by: str | None
    created_at: datetime
    values: int


class Status(Struct, frozen=True):
    """All data keys, and what a rotation would still have to do."""

    data_keys: list[DataKeyStatus]
    ring_values: dict[str, int]
    """Values sealed by a key of the ring itself, as before there were data keys, by its number."""
    unknown_values: int
    """Values that begin with no key that there is: nobody can open them."""
    to_reseal: int
    """Values under another key than the one that seals."""
    bare_indexes: int
    """Blind indexes of before there were index keys, under keys.index_key alone."""
    to_reindex: int
    """Blind indexes under another key than the one that writes them."""


class Rotated(Struct, frozen=True):
    """What one run has done."""

    made: int
    rewrapped: int
    resealed: int
    unreadable: int
    retired: int
    reindexed: int
