"""The floor among the contestants: floor.c, compiled here."""

from pathlib import Path

from tests.bench.realtime.load import CHANNEL, PAYLOAD, Plan
from tests.bench.realtime.servers import Place, Server, redis_publish


def server(program: Path) -> Server:
    """Return the C server without anything that a server needs."""
    return Server(
        "C epoll, the floor",
        lambda place: [str(program), str(place.port), str(place.redis_port)],
        _plan,
        lambda: "",
    )


def _plan(_place: Place, personal: bool) -> Plan:
    # Its channels are numbers below 65,536; the shared one is out of the others' way.
    channel = CHANNEL if personal else "0065000"
    return Plan(
        request="/$c" if personal else f"/{channel}",
        publication=redis_publish(f"floor:{channel}", PAYLOAD),
    )
