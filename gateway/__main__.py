"""`python -m gateway`: the daemon without the command line's libraries, which would stay."""

import sys

# structlog takes rich where it is installed, for tracebacks that a daemon does not print: 4 MiB.
sys.modules["rich"] = None  # pyright: ignore[reportArgumentType]  # how an import is refused

from core import config, log  # noqa: E402  # after the line above
from core.errors import ConfigError  # noqa: E402  # same
from gateway import process  # noqa: E402  # same


def main() -> int:
    """Run the gateway; 2 when a setting is missing or wrong."""
    try:
        settings = config.load()
        log.configure(settings.log.level, settings.log.style)
        return process.run(settings)
    except ConfigError as error:
        print(f"pinghub: {error}", file=sys.stderr)  # noqa: T201  # before there is a log
        return 2


if __name__ == "__main__":
    sys.exit(main())
