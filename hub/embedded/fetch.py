"""`python -m hub.embedded.fetch`: fetch an MQTT broker where the machine has none.

Part of the installation, so that `pinghub up` needs no network. `--amqtt` fetches the fallback in
any case, for its tests.
"""

import sys

from core.errors import ConfigError
from hub.embedded import amqtt, mosquitto


def main(arguments: list[str]) -> None:
    """Fetch mosquitto from Debian's packages, else amqtt from the package index."""
    wanted_amqtt = "--amqtt" in arguments
    if mosquitto.find() is None:
        problem = mosquitto.unpack()
        if problem:
            print(f"no mosquitto from Debian's packages ({problem}): taking amqtt")  # noqa: T201  # a command's output
            wanted_amqtt = True
    if wanted_amqtt and not amqtt.installed():
        amqtt.install()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        sys.exit(f"pinghub: {error}")
