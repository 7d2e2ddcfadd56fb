"""CPU seconds per million deliveries: F, P and burst, in interleaved rounds."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from tests.bench.realtime.arena import Running, settle
from tests.bench.realtime.load import Load

_TASTE_DELIVERIES = 4_000
_WARM_SECONDS = 0.4


class Shape(NamedTuple):
    """How publications spread: `window` of them are under way at any time."""

    name: str
    personal: bool
    window: int
    subscribers: int = 1_000


F = Shape("F", personal=False, window=1)
P = Shape("P", personal=True, window=1_000)
BURST = Shape("burst", personal=False, window=16)


class Delivered(NamedTuple):
    """What one run cost."""

    cpu_seconds_per_million: float
    deliveries_per_second: float


def ratio(runs: list[Delivered], others: list[Delivered]) -> float:
    """Compare what ran in the same round: the machine was as loud for both."""
    return median(
        run.cpu_seconds_per_million / other.cpu_seconds_per_million
        for run, other in zip(runs, others, strict=True)
    )


Rounds = dict[str, list[Delivered]]
"""The runs of each server; those with the same index took place one after the other."""


def rounds(
    servers: Sequence[Running], shapes: list[Shape], *, count: int, seconds: float
) -> dict[str, Rounds]:
    """Measure every server in every shape, one after the other, `count` times."""
    loads: dict[tuple[str, bool, int], Load] = {}
    for server in servers:
        for shape in shapes:
            if _key(server, shape) not in loads:
                loads[_key(server, shape)] = server.connect(
                    shape.subscribers, personal=shape.personal
                )
    settle()
    for shape in shapes:  # some compile what they run often
        for server in servers:
            deliver(server, loads[_key(server, shape)], shape, _WARM_SECONDS)
    found: dict[str, Rounds] = {
        shape.name: {server.name: [] for server in servers} for shape in shapes
    }
    for _ in range(count):
        for shape in shapes:
            for server in servers:
                run = deliver(server, loads[_key(server, shape)], shape, seconds)
                found[shape.name][server.name].append(run)
    for load in loads.values():
        load.close()
    return found


def deliver(server: Running, load: Load, shape: Shape, seconds: float) -> Delivered:
    """Publish for about so long."""
    each = 1 if shape.personal else shape.subscribers
    taste = max(4, _TASTE_DELIVERIES // each)
    tasted = load.ask(f"publish {taste} {shape.window} 0")
    count = max(taste, int(taste * seconds / tasted["seconds"]))
    figures: dict[str, float] = {}
    cpu = server.cpu(lambda: figures.update(load.ask(f"publish {count} {shape.window} 0")))
    deliveries = figures["deliveries"]
    return Delivered(cpu / deliveries * 1e6, deliveries / figures["seconds"])


def _key(server: Running, shape: Shape) -> tuple[str, bool, int]:
    return server.name, shape.personal, shape.subscribers
