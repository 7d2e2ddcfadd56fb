"""amqtt, the broker in pure Python for machines without mosquitto: MQTT 3.1.1, no `$share`.

It pins an older websockets, so it lives in a virtual environment of its own.
"""

import sys
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = Path(sys.prefix) / "share" / "amqtt"
_PROGRAM: Final = Path(__file__).with_name("amqtt_broker.py")


def installed() -> bool:
    """Say whether its virtual environment is complete."""
    return (ENVIRONMENT / "complete").exists()


def command(folder: Path, port: int) -> list[str]:
    """Return the command line of the broker on the logins in `folder`."""
    python = ENVIRONMENT / "bin" / "python"
    return [str(python), "-I", str(_PROGRAM), str(folder), str(port)]
