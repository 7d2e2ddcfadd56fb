"""`python -m gateway`: the daemon without the command line's libraries, which would stay."""

import sys

from core import config, log
from core.errors import ConfigError
from gateway import daemon


def main() -> int:
    """Run the gateway; 2 when a setting is missing or wrong."""
    try:
        settings = config.load()
        log.configure(settings.log.level, settings.log.style)
        return daemon.run(settings)
    except ConfigError as error:
        print(f"pinghub: {error}", file=sys.stderr)  # noqa: T201  # before there is a log
        return 2


if __name__ == "__main__":
    sys.exit(main())
