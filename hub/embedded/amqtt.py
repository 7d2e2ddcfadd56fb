"""amqtt, the broker in pure Python for machines without mosquitto: MQTT 3.1.1, no `$share`.

It pins an older websockets, so it lives in a virtual environment of its own.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from core.errors import ConfigError

ENVIRONMENT: Final = Path(sys.prefix) / "share" / "amqtt"
_LOCK: Final = Path(__file__).with_name("requirements-amqtt.lock")
_PROGRAM: Final = Path(__file__).with_name("amqtt_broker.py")


def installed() -> bool:
    """Say whether its virtual environment is complete."""
    return (ENVIRONMENT / "complete").exists()


def install() -> None:
    """Create its virtual environment from the lock file; ConfigError when that fails."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    python = ENVIRONMENT / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(_LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command line
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigError(
                f"amqtt cannot be installed ({lines[-1] if lines else 'no reason given'}):"
                " install mosquitto, or set MQTT_URL"
            )
    (ENVIRONMENT / "complete").touch()


def command(folder: Path, port: int) -> list[str]:
    """Return the command line of the broker on the logins in `folder`."""
    python = ENVIRONMENT / "bin" / "python"
    return [str(python), "-I", str(_PROGRAM), str(folder), str(port)]
