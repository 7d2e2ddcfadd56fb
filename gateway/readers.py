"""The gateway's NFC readers, as its settings name them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import Final

from core.errors import ConfigError
from gateway import health
from gateway.reader import Found, NfcReader, Open

SETTING: Final = "gateway.readers"
_NAME_CHARS_MAX: Final = 32
_EXTRAS: Final = {"pcsc": "smartcard", "serial": "serial"}
"""Kinds of readers whose driver is an extra of the package, and the module that it brings."""


class Readers:
    """All readers of a gateway."""

    def __init__(self, specs: Sequence[str], take: Callable[[str, Found], Awaitable[None]]) -> None:
        """`take` is told reader and read, and returns when the read is safe.

        Raises ConfigError for a reader that cannot be served.
        """
        self._readers = [NfcReader(name, opener) for name, opener in openers(specs)]
        self._take = take

    @property
    def names(self) -> tuple[str, ...]:
        """Their parts of topics."""
        return tuple(reader.name for reader in self._readers)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reader in self._readers:
                tasks.create_task(self._run(reader))

    def health(self) -> tuple[health.ReaderHealth, ...]:
        """Return how they do."""
        return tuple(
            health.ReaderHealth(
                reader=reader.name,
                up=reader.is_up,
                opens=reader.opens,
                reads=reader.reads_count,
                unread=reader.unread.total(),
                problems=dict(reader.unread),
                problem=reader.problem,
            )
            for reader in self._readers
        )

    async def _run(self, reader: NfcReader) -> None:
        async with aclosing(reader.reads()) as reads:
            async for found in reads:
                await self._take(reader.name, found)


def check(specs: Sequence[str]) -> None:
    """Raise ConfigError unless the readers of the settings can be served."""
    list(openers(specs))


def openers(specs: Sequence[str]) -> Iterator[tuple[str, Open]]:
    """Yield name and opener of each reader, or raise ConfigError."""
    names: set[str] = set()
    for spec in specs:
        opener = _opener(spec)
        name = name_of(spec)
        if name in names:
            raise ConfigError(f"{SETTING}: two readers would be called {name!r} in topics")
        names.add(name)
        yield name, opener


def name_of(spec: str) -> str:
    """Return a reader's part of topics: its kind, and the last part of its place."""
    kind, _, place = spec.partition(":")
    last = re.sub(r"[^A-Za-z0-9_-]+", "-", place.rpartition("/")[2]).strip("-")
    return f"{kind}-{last}"[:_NAME_CHARS_MAX] if last else kind


def _opener(spec: str) -> Open:
    kind, _, place = spec.partition(":")
    module = _EXTRAS.get(kind)
    if module is not None and find_spec(module) is None:
        raise ConfigError(f"{SETTING} {spec!r} needs the extra {kind}: pip install -e '.[{kind}]'")
    # Imported late: drivers are extras, and take memory.
    if kind == "pcsc":
        from gateway import reader_pcsc  # noqa: PLC0415  # as said

        return lambda: reader_pcsc.open_reader(place)
    if kind == "serial" and place:
        from gateway import reader_serial  # noqa: PLC0415  # as said

        return lambda: reader_serial.open_reader(place)
    if kind == "virtual" and place:
        from gateway import reader_virtual  # noqa: PLC0415  # as said

        return lambda: reader_virtual.open_reader(place)
    raise ConfigError(
        f'{SETTING} {spec!r}: use "pcsc", "pcsc:<part of its name>", "serial:/dev/ttyUSB0"'
        ' or "virtual:<socket>"'
    )
