"""Whether a delivery costs the same with few and with many: 100 to 10,000 subscribers."""

from collections.abc import Sequence

from tests.bench.realtime.arena import Running
from tests.bench.realtime.fanout import F, P, Rounds, rounds

SUBSCRIBERS = (100, 1_000, 10_000)
CONNECTIONS = (1_000, 20_000)


def measured(servers: Sequence[Running], *, count: int, seconds: float) -> dict[str, Rounds]:
    """Measure F with more and more subscribers, P with more and more users."""
    shapes = [
        F._replace(name=f"F with {size:,} subscribers", subscribers=size) for size in SUBSCRIBERS
    ] + [P._replace(name=f"P with {size:,} connections", subscribers=size) for size in CONNECTIONS]
    found: dict[str, Rounds] = {}
    for shape in shapes:
        found |= rounds(servers, [shape], count=count, seconds=seconds)
    return found
