"""Whether a delivery costs the same with few and with many: 100 to 10,000 subscribers."""

from collections.abc import Sequence

from tests.bench.realtime import machine
from tests.bench.realtime.arena import Running
from tests.bench.realtime.fanout import F, P, Rounds, rounds

SUBSCRIBERS = (100, 1_000, 10_000)
CONNECTIONS = (1_000, 20_000)
_OTHER_FILES = 200


def measured(servers: Sequence[Running], *, count: int, seconds: float) -> dict[str, Rounds]:
    """Measure F with more and more subscribers, P with more and more users."""
    shapes = [
        F._replace(name=f"F with {size:,} subscribers", subscribers=size) for size in SUBSCRIBERS
    ]
    most = machine.allow_files(CONNECTIONS[-1] + _OTHER_FILES) - _OTHER_FILES
    for size in CONNECTIONS:
        users = min(size, most)  # as far as this account may open files
        shapes.append(P._replace(name=f"P with {users:,} connections", subscribers=users))
    found: dict[str, Rounds] = {}
    for shape in shapes:
        found |= rounds(servers, [shape], count=count, seconds=seconds)
    return found
