"""`python -m hub.embedded.scalar`: put the reader of the OpenAPI document where the hub serves it.

The npm package drags in 280 MB that its bundle does not need, so it is no dependency of ours: the
package alone is fetched, one file of it is kept, and only if its hash is right.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from hub.embedded import node

BUNDLE: Final = Path("node_modules/@scalar/api-reference/dist/browser/standalone.js")
_PACKAGE: Final = "@scalar/api-reference@1.72.1"
_MEMBER: Final = "package/dist/browser/standalone.js"
_SHA384: Final = "U11tb2XnKvmwt8RlTvnwUnYgrN+ur4Xyh9htLhjajWNR/Oyl5AX5DEz00qRmlrmK"


def fetch(project: Path) -> None:
    """Fetch the bundle into the project's node_modules unless it is there."""
    target = project / BUNDLE
    if target.is_file() and _is_genuine(target.read_bytes()):
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(  # noqa: S603  # our own command line
            [*node.npm(), "pack", "--silent", "--pack-destination", folder, _PACKAGE],
            capture_output=True,
            text=True,
            check=False,
        )
        if packed.returncode:
            raise ConfigError(f"npm could not fetch {_PACKAGE}: {packed.stderr.strip()[-300:]}")
        with tarfile.open(Path(folder) / packed.stdout.strip().splitlines()[-1]) as archive:
            member = archive.extractfile(_MEMBER)
            content = member.read() if member else b""
    if not _is_genuine(content):
        raise ConfigError(f"{_PACKAGE} is not the file that this version was tested with")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _is_genuine(content: bytes) -> bool:
    return hashlib.sha384(content).digest() == base64.b64decode(_SHA384)


if __name__ == "__main__":
    try:
        fetch(Path.cwd())
    except ConfigError as problem:
        sys.exit(f"pinghub: {problem}")
