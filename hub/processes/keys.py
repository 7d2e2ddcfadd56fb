"""`pinghub keys …`: data keys and their rotation, for operators."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import msgspec
from cyclopts import App, Group, Parameter

from core import clock, config
from core.config import Settings
from core.db import Pool
from hub.domains.encryption import service
from hub.domains.encryption.schemas import Rotated, Status
from hub.providers.key_wrapping import open_wrapping
from hub.providers.keys import read_cipher

app = App(
    name="keys",
    help="Keys at rest: which there are, what they seal, and their rotation (docs/security.md).",
    help_format="markdown",
    group_commands=Group("Commands"),
)
app.command("hub.processes.signing_keys:app", name="signing", help="Keys that sign access tokens.")
AsJson = Annotated[bool, Parameter(name="--json", negative="")]
# Counting reads whole tables.
_STATEMENT_SECONDS: Final = 600.0
_PROGRESS_SECONDS: Final = 1.0


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub keys status`  data keys, what wrapped them, how many values each seals\n\n"
        "- `pinghub keys status --json | jq .to_reseal`  0: nothing is left to do"
    )
)
def status(*, as_json: AsJson = False) -> None:
    """Show data keys and count every sealed value by its key; reads whole tables."""
    found = asyncio.run(_status(config.load()))
    _say(msgspec.json.encode(found).decode() if as_json else _told(found))


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub keys rotate`  after a new key in keys.field_keys or in the KMS; also goes on"
        " with whatever was cut off\n\n"
        "- `pinghub keys rotate --data-keys`  new data keys, and every value sealed anew\n\n"
        "- `pinghub keys rotate --index-keys`  a new key of blind indexes, and each moved to it"
    )
)
def rotate(
    *,
    data_keys: Annotated[bool, Parameter(negative="")] = False,
    index_keys: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Wrap data keys by the newest key-encryption key, and seal anew what is under old ones.

    Everything goes on meanwhile; killed, it is simply run again.

    Parameters
    ----------
    data_keys
        Make new data keys first. They seal when every process knows them, which is waited for.
    index_keys
        Make a new key of blind indexes first. Until each is moved they are found by either key.
    as_json
        Print what was done as JSON.
    """
    done = asyncio.run(_rotate(config.load(), data_keys, index_keys))
    _say(
        msgspec.json.encode(done).decode()
        if as_json
        else f"{done.made} data keys made, {done.rewrapped} wrapped anew, {done.resealed} values"
        f" sealed anew, {done.reindexed} blind indexes moved, {done.unreadable} unreadable,"
        f" {done.retired} old data keys retired"
    )


async def _status(settings: Settings) -> Status:
    async with _pool(settings) as pool:
        return await service.read_status(pool)


async def _rotate(settings: Settings, with_new_keys: bool, with_new_index_key: bool) -> Rotated:
    cipher = read_cipher(settings)
    async with _pool(settings) as pool:
        return await service.rotate(
            pool,
            cipher,
            open_wrapping(settings.keys, cipher.ring),
            with_new_keys=with_new_keys,
            with_new_index_key=with_new_index_key,
            progress=_Progress().add,
        )


class _Progress:
    """Says on standard error, each second at most, how far it is."""

    def __init__(self) -> None:
        self._values = 0
        self._told_at = clock.monotonic_seconds()

    def add(self, place: str, values: int) -> None:
        self._values += values
        if clock.monotonic_seconds() - self._told_at >= _PROGRESS_SECONDS:
            self._told_at = clock.monotonic_seconds()
            print(f"{place}: {self._values} values renewed", file=sys.stderr)  # noqa: T201  # a command's output


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncGenerator[Pool]:
    database = settings.database
    pool = await Pool.open(
        config.require(database.system_url, "database.system_url"),
        max_size=1,
        connect_timeout_seconds=database.connect_timeout_seconds,
        statement_timeout_seconds=_STATEMENT_SECONDS,
    )
    try:
        yield pool
    finally:
        await pool.close()


def _told(found: Status) -> str:
    lines = [
        f"{key.scope} {key.number}  {key.state}, {key.values} values, wrapped by"
        f" {key.wrapped_by or 'nothing'}, made {key.created_at:%Y-%m-%d}"
        for key in found.data_keys
    ]
    lines += [
        f"keys.field_keys {number}  {values} values of before there were data keys"
        for number, values in found.ring_values.items()
    ]
    if found.bare_indexes:
        lines.append(f"keys.index_key  {found.bare_indexes} blind indexes under no index key")
    lines.append(
        f"{found.to_reseal} values to seal anew, {found.to_reindex} blind indexes to move,"
        f" {found.unknown_values} under unknown keys"
    )
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text)  # noqa: T201  # a command's output
