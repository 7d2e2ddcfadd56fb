"""The program that runs amqtt with the project's logins and fences: `amqtt_broker.py FOLDER PORT`.

Runs in amqtt's own virtual environment, so it imports nothing of ours.
"""
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUntypedBaseClass=false
# pyright: reportUnknownArgumentType=false

import asyncio
import contextlib
import hmac
import json
import signal
import sys
from pathlib import Path

from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

FOLDER = Path(sys.argv[1])
HUB_LOGIN = "hub"


class Logins(BaseAuthPlugin):
    """Knows the logins of logins.json, also those added while the broker runs."""

    async def authenticate(self, *, session: Session) -> bool:
        logins: dict[str, str] = json.loads((FOLDER / "logins.json").read_text())
        expected = logins.get(session.username or "")
        given = session.password or ""
        return expected is not None and hmac.compare_digest(expected.encode(), given.encode())


class Fences(BaseTopicPlugin):
    """The two lines of mosquitto's ACL: own subtree to write, own commands to read."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        name = session.username if session else None
        if not name or not topic:
            return False
        if name == HUB_LOGIN:
            return topic.startswith("ping/v1/")
        tree = "ping/v1/gw" if action == Action.PUBLISH else "ping/v1/cmd/gw"
        return topic.startswith(f"{tree}/{name}/")


async def main(port: int) -> None:
    """Serve on loopback until SIGTERM."""
    configuration = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"__main__.Logins": {}, "__main__.Fences": {}},
    }
    broker = Broker(BrokerConfig.from_dict(configuration), loop=asyncio.get_running_loop())
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # Mosquitto rereads its passwords on SIGHUP; here every sign-in reads them.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await broker.start()
    await stopped.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(broker.shutdown(), timeout=2)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[2])))
