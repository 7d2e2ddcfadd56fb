"""What has been released: databases may be at it, and older processes run beside a newer schema.

`released/<version>.json` freezes a release: its revision, the checksums of its migrations, which
may not change any more, its objects, which a way back to it needs, and its queries, which the next
release's schema must still answer while processes are replaced one by one. docs/migrations.md.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from migrations import scripts

FOLDER: Final = scripts.FOLDER / "released"


class FrozenQuery(msgspec.Struct, frozen=True):
    """A registered statement of a release."""

    name: str
    login: str
    sql: str


class Release(msgspec.Struct, frozen=True):
    """One release. `objects`: texts by file, in their order. `scripts`: SHA-256 by file name."""

    version: str
    revision: str
    scripts: dict[str, str]
    objects: dict[str, str]
    queries: list[FrozenQuery]


def read_all() -> list[Release]:
    """Return the releases, the oldest first."""
    found = [msgspec.json.decode(path.read_bytes(), type=Release) for path in FOLDER.glob("*.json")]
    return sorted(found, key=lambda release: [int(part) for part in release.version.split(".")])


def newest_at(revision: str) -> Release | None:
    """Return the newest release whose schema is that of a revision."""
    at = [release for release in read_all() if release.revision == revision]
    return at[-1] if at else None


def checksums(names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of migrations' scripts by file name."""
    paths = [
        scripts.FOLDER / "sql" / f"{name}.{direction}.sql"
        for name in sorted(names)
        for direction in ("up", "down")
    ]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
