"""Data keys: made, opened and kept by each process; rotated while everything runs."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, get_args
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from core import log
from core.actor import SYSTEM
from core.blind_indexes import UnreadableIndexError
from core.config import Keys
from core.crypto import DecryptionError, FieldCipher
from core.data_keys import DATA_KEY_BYTES, INDEX_SCOPE, DataKeys, new_data_key, wrap_binding
from core.db import Conflict, Pool, begin
from core.errors import DomainError
from core.pause import pause_seconds
from core.sealed_columns import INDEXED_COLUMNS, SEALED_COLUMNS, Scope, SealedColumn
from hub.domains.encryption import queries, rules
from hub.domains.encryption.schemas import Rotated, Status, StoredKey
from hub.providers.key_wrapping import Wrapped, Wrapping, open_wrapping

BATCH_ROWS: Final = 500
_PASSES_MAX: Final = 5
_START_SECONDS: Final = 3.0
_RENEWAL_SECONDS: Final = 2.0
_FIRST_ROW: Final = UUID(int=0)
# Triggers know by it that nobody has changed anything: no stamp, no entry in the audit log.
_RESEALING: Final = replace(SYSTEM, endpoint="keys.reseal")
_ROTATING: Final = replace(SYSTEM, endpoint="keys.rotate")

_log = log.get("encryption")


class Walk(Struct, frozen=True):
    """A column to pass over: where it is, what done values begin with, and how one is renewed."""

    place: str
    names: tuple[str, str, str]
    """Table, column and the column of the row's id."""
    mark: Callable[[], bytes]
    renewed: Callable[[queries.SealedRow], bytes]
    """Raises DecryptionError or UnreadableIndexError."""


class Keeper:
    """Keeps data keys fresh: `run` does it, `renewal` waits for it where they have become old."""

    def __init__(self, pool: Pool, data_keys: DataKeys, wrapping: Wrapping, seconds: float) -> None:
        """`seconds`: between two looks."""
        self.is_wanted, self.is_fresh = asyncio.Event(), asyncio.Event()
        self._pool = pool
        self._data_keys = data_keys
        self._wrapping = wrapping
        self._seconds = seconds
        self._failures = 0
        self._has_tried = asyncio.Event()

    async def run(self) -> None:
        """Refresh from time to time, and when it is wanted, until cancelled."""
        while True:
            self.is_wanted.clear()
            try:
                await refresh(self._pool, self._data_keys, self._wrapping)
            except DomainError as error:
                self._end_try(self._failures + 1)
                if self._failures == 1 or self._failures % 20 == 0:
                    _log.warning("data_keys_wait", code=error.code, failures=self._failures)
                await asyncio.sleep(pause_seconds(self._failures))
                continue
            except Exception:  # noqa: BLE001  # logged; keys that are open stay so
                _log.exception("data_keys_not_refreshed")
                self._end_try(self._failures + 1)
            else:
                self._end_try(0)
                self.is_fresh.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self.is_wanted.wait()
            if self.is_wanted.is_set() and self._data_keys.is_current:
                # Whoever asks for a key that does not come must not make us ask without a pause.
                await asyncio.sleep(pause_seconds(1))

    async def renewal(self) -> None:
        """Wait until the list is current, for not long, and not at all while that fails."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RENEWAL_SECONDS):
                while not self._data_keys.is_current and not self._failures:
                    self.is_wanted.set()
                    await self._has_tried.wait()

    def _end_try(self, failures: int) -> None:
        self._failures = failures
        self._has_tried.set()
        self._has_tried = asyncio.Event()


@asynccontextmanager
async def kept(pool: Pool, cipher: FieldCipher, settings: Keys) -> AsyncGenerator[None]:
    """Keep a cipher's data keys fresh for a while.

    Begins when they are, or without them when database or key-encryption key are away: sealing and
    opening raise `service.unavailable` until they come.
    """
    data_keys = _data_keys(cipher)
    wrapping = open_wrapping(settings, cipher.ring)
    keeper = Keeper(pool, data_keys, wrapping, settings.refresh_seconds)
    loop = asyncio.get_running_loop()
    data_keys.wanted = lambda: _wake(loop, keeper.is_wanted)
    data_keys.renewal = keeper.renewal
    keeping = asyncio.create_task(keeper.run())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await keeper.is_fresh.wait()
        yield
    finally:
        data_keys.wanted = data_keys.renewal = None
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def refresh(pool: Pool, data_keys: DataKeys, wrapping: Wrapping) -> None:
    """Open what is not open or has been for long; make the first key of a scope that has none.

    Raises `service.unavailable` when the database or a key-encryption key is away; keys that are
    open stay so for their time.
    """
    asked_at = data_keys.now()
    stored = await _list(pool)
    missing = set(get_args(Scope)) - {key.scope for key in stored}
    for scope in sorted(missing):
        await _make(pool, wrapping, scope, 1, seals_in_seconds=0)
    if missing:
        stored = await _list(pool)
    failure: DomainError | None = None
    for key in stored:
        if key.wrapped is None or not data_keys.is_due(key.id):
            continue
        try:
            opened = await _open(wrapping, key)
        except DomainError as error:
            failure = error
        except DecryptionError as error:
            _log.error("data_key_unreadable", data_key_id=key.id, reason=str(error))
        else:
            data_keys.put(
                key.id, key.scope, key.number, opened, seals_in_seconds=key.seals_in_seconds
            )
    listed = {key.id: key.scope for key in stored if key.wrapped is not None}
    data_keys.list_all(listed, asked_at=asked_at)
    if failure is not None:
        raise failure


async def make_keys(
    pool: Pool,
    wrapping: Wrapping,
    announce_seconds: float,
    scopes: Collection[str] = get_args(Scope),
) -> int:
    """Make the next data key of each scope; it seals when every process knows it."""
    numbers = dict.fromkeys(scopes, 0)
    for key in await _list(pool):
        if key.scope in numbers:
            numbers[key.scope] = max(key.number, numbers[key.scope])
    made = 0
    for scope, number in sorted(numbers.items()):
        made += await _make(pool, wrapping, scope, number + 1, seals_in_seconds=announce_seconds)
    return made


async def rewrap(pool: Pool, wrapping: Wrapping) -> int:
    """Wrap every data key by the newest key-encryption key; return how many."""
    done = 0
    for key in await _list(pool):
        if key.wrapped is None:
            continue
        try:
            opened = await _open(wrapping, key)
        except DecryptionError as error:
            _log.error("data_key_unreadable", data_key_id=key.id, reason=str(error))
            continue
        wrapped = await wrapping.wrap(opened, wrap_binding(key.id, key.scope))
        if wrapped.by == key.wrapped_by:
            continue
        async with begin(pool, _ROTATING) as tx:
            done += await queries.rewrap_key.run(
                tx, key.id, key.wrapped, wrapped.content, wrapped.by
            )
    return done


async def reseal(
    pool: Pool,
    cipher: FieldCipher,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[str, int], None],
) -> tuple[int, int]:
    """Seal anew what is under another key than the one that seals; (done, unreadable) values.

    What is done is known by the values themselves, so a killed run is simply begun again. A value
    that somebody writes meanwhile stays theirs; if they used an old key, the next pass finds it.
    """
    walks = [
        Walk(
            item.place,
            (item.table, item.column, item.row_id),
            partial(cipher.sealing_mark, item.bound_to),
            partial(_resealed, cipher, item),
        )
        for item in SEALED_COLUMNS
    ]
    return await _walk_all(pool, _data_keys(cipher), walks, batch_rows, progress)


async def reindex(
    pool: Pool,
    cipher: FieldCipher,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[str, int], None],
) -> tuple[int, int]:
    """Move blind indexes to the key that writes them, as `reseal` does values; (done, left)."""
    walks = [
        Walk(
            item.place,
            (item.table, item.column, "id"),
            cipher.indexes.mark,
            lambda row: cipher.indexes.renewed(row.sealed),
        )
        for item in INDEXED_COLUMNS
    ]
    return await _walk_all(pool, _data_keys(cipher), walks, batch_rows, progress)


async def read_status(pool: Pool) -> Status:
    """Count every sealed value by its key; reads whole tables."""
    keys = await _list(pool)
    uses: dict[str, dict[bytes | None, int]] = {}
    for item in SEALED_COLUMNS:
        async with begin(pool, SYSTEM, read_only=True) as tx:
            rows = await queries.count_sealed.all(tx, item.table, item.column)
        uses[item.place] = {row.mark: row.values for row in rows}
    indexes: dict[str, dict[bytes | None, int]] = {}
    for item in INDEXED_COLUMNS:
        async with begin(pool, SYSTEM, read_only=True) as tx:
            rows = await queries.count_indexes.all(tx, item.table, item.column)
        indexes[item.place] = {row.mark: row.values for row in rows}
    return rules.status(keys, uses, {item.place: item.scope for item in SEALED_COLUMNS}, indexes)


async def retire(pool: Pool, cache_seconds: float) -> int:
    """Forget data keys that nobody can seal with and no value is sealed by; return how many."""
    keys = await _list(pool)
    old = [key for key in keys if rules.has_had_its_time(key, keys, cache_seconds)]
    if not old:
        return 0
    # Counted after their time, so that nothing can come after the count.
    used = {key.id for key in (await read_status(pool)).data_keys if key.values}
    retired = 0
    for key in old:
        if key.id not in used:
            async with begin(pool, _ROTATING) as tx:
                retired += await queries.retire_key.run(tx, key.id)
    return retired


async def rotate(
    pool: Pool,
    cipher: FieldCipher,
    wrapping: Wrapping,
    *,
    with_new_keys: bool,
    with_new_index_key: bool = False,
    progress: Callable[[str, int], None],
) -> Rotated:
    """Do all that is to do; again after whatever interrupted it."""
    data_keys = _data_keys(cipher)
    # Large tables take longer than a list of keys may be old.
    data_keys.renewal = partial(refresh, pool, data_keys, wrapping)
    await refresh(pool, data_keys, wrapping)
    rewrapped = await rewrap(pool, wrapping)
    made = 0
    if with_new_keys:
        made = await make_keys(pool, wrapping, data_keys.announce_seconds)
    if with_new_index_key:
        made += await make_keys(pool, wrapping, data_keys.announce_seconds, {INDEX_SCOPE})
    await _wait_until_they_seal(pool)
    await refresh(pool, data_keys, wrapping)
    resealed, unreadable = await reseal(pool, cipher, progress=progress)
    reindexed, left = await reindex(pool, cipher, progress=progress)
    retired = await retire(pool, data_keys.cache_seconds)
    return Rotated(made, rewrapped, resealed, unreadable + left, retired, reindexed)


async def _wait_until_they_seal(pool: Pool) -> None:
    longest = max(key.seals_in_seconds for key in await _list(pool))
    await asyncio.sleep(max(0.0, longest))


async def _walk_all(
    pool: Pool,
    data_keys: DataKeys,
    walks: Sequence[Walk],
    batch_rows: int,
    progress: Callable[[str, int], None],
) -> tuple[int, int]:
    done, unreadable = 0, 0
    for walk in walks:
        for _ in range(_PASSES_MAX):
            passed, broken = await _pass_over(pool, data_keys, walk, batch_rows, progress)
            done += passed
            if not passed:
                unreadable += broken
                break
    return done, unreadable


async def _pass_over(
    pool: Pool,
    data_keys: DataKeys,
    walk: Walk,
    batch_rows: int,
    progress: Callable[[str, int], None],
) -> tuple[int, int]:
    after, done, broken, failures, size = _FIRST_ROW, 0, 0, 0, batch_rows
    while True:
        rows: list[queries.SealedRow] = []
        try:
            await data_keys.come_up_to_date()
            mark = walk.mark()
            async with begin(pool, _RESEALING) as tx:
                rows = await queries.find_sealed.all(tx, *walk.names, after, mark, size)
                fresh = [_renewed(walk, row) for row in rows]
                pairs = [(row, new) for row, new in zip(rows, fresh, strict=True) if new]
                replaced = await queries.reseal.one(
                    tx,
                    *walk.names,
                    [row.row_id for row, _ in pairs],
                    [row.sealed for row, _ in pairs],
                    [new for _, new in pairs],
                )
        except Conflict:
            # Another row has the same index under the newer key: one by one, to find which.
            if size == 1:
                _log.error("index_taken", place=walk.place, row_id=str(rows[0].row_id))
                after, broken = rows[0].row_id, broken + 1
            size = 1
            continue
        except DomainError as error:
            # A deadlock with somebody's work, or a database that starts again.
            failures += 1
            if error.code != "service.unavailable" or failures > _PASSES_MAX:
                raise
            await asyncio.sleep(pause_seconds(failures))
            continue
        if not rows:
            return done, broken
        failures = 0
        after = rows[-1].row_id
        done += replaced
        broken += len(rows) - len(pairs)
        progress(walk.place, replaced)


def _renewed(walk: Walk, row: queries.SealedRow) -> bytes | None:
    try:
        return walk.renewed(row)
    except (DecryptionError, UnreadableIndexError) as error:
        _log.error("value_unreadable", place=walk.place, row_id=str(row.row_id), reason=str(error))
        return None


def _resealed(cipher: FieldCipher, item: SealedColumn, row: queries.SealedRow) -> bytes:
    opened = cipher.open(row.sealed, column=item.bound_to, row=row.row_id.bytes)
    return cipher.seal(opened, column=item.bound_to, row=row.row_id.bytes)


def _data_keys(cipher: FieldCipher) -> DataKeys:
    if cipher.data_keys is None:
        raise ValueError("this cipher seals with its ring alone")
    return cipher.data_keys


async def _list(pool: Pool) -> list[StoredKey]:
    async with begin(pool, SYSTEM, read_only=True) as tx:
        return await queries.list_keys.all(tx)


async def _make(
    pool: Pool, wrapping: Wrapping, scope: str, number: int, *, seals_in_seconds: float
) -> int:
    """Make a data key, unless somebody was first; return how many."""
    key_id, key = new_data_key()
    wrapped = await wrapping.wrap(key, wrap_binding(key_id, scope))
    async with begin(pool, _ROTATING) as tx:
        return await queries.add_key.run(
            tx, key_id, scope, number, wrapped.content, wrapped.by, seals_in_seconds
        )


async def _open(wrapping: Wrapping, key: StoredKey) -> bytes:
    wrapped = Wrapped(key.wrapped or b"", key.wrapped_by or "")
    opened = await wrapping.unwrap(wrapped, wrap_binding(key.id, key.scope))
    if len(opened) != DATA_KEY_BYTES:
        raise DecryptionError("not a data key")
    return opened


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(event.set)
