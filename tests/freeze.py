"""`make freeze`: write `migrations/released/<version>.json` of the version in pyproject.toml.

Once per release, after its last change; a frozen release never changes. docs/migrations.md.
"""

import sys
from importlib.metadata import version

import msgspec

from hub.processes import migrating
from migrations import releases, scripts
from migrations.releases import FrozenQuery, Release
from tests.registered import registered


def frozen(name: str) -> Release:
    """Return the release that this code is."""
    revision = migrating.newest_revision()
    return Release(
        version=name,
        revision=revision,
        scripts=releases.checksums(migrating.scripts_up_to(revision)),
        objects=scripts.newest_objects(),
        queries=sorted(
            (FrozenQuery(found.name, found.login, found.sql) for found in registered()),
            key=lambda query: query.name,
        ),
    )


def main() -> None:
    """Freeze the version, unless it is frozen already."""
    name = version("pinghub")
    path = releases.FOLDER / f"{name}.json"
    if path.exists():
        sys.exit(f"{name} is frozen already: raise the version in pyproject.toml first")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(frozen(name))) + b"\n")
    print(path)


if __name__ == "__main__":
    main()
