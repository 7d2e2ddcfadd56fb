"""CPU seconds per million deliveries: F, P and burst, in interleaved rounds."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.bench.realtime.arena import Running
from tests.bench.realtime.load import Load

CLIENTS = 1_000
_TASTE_PUBLICATIONS = 4
_WARM_SECONDS = 0.5


class Shape(NamedTuple):
    """How publications spread: `window` of them are under way at any time."""

    name: str
    personal: bool
    window: int


F = Shape("F", personal=False, window=1)
P = Shape("P", personal=True, window=CLIENTS)
BURST = Shape("burst", personal=False, window=16)


class Delivered(NamedTuple):
    """What one run cost."""

    cpu_seconds_per_million: float
    deliveries_per_second: float


def rounds(
    servers: Iterable[Running], shapes: list[Shape], *, count: int, seconds: float
) -> dict[str, dict[str, list[Delivered]]]:
    """Measure every server in every shape, one after the other, `count` times."""
    loads: dict[tuple[str, bool], Load] = {}
    at_work = list(servers)
    for server in at_work:
        for personal in {shape.personal for shape in shapes}:
            loads[server.name, personal] = server.connect(CLIENTS, personal=personal)
    found: dict[str, dict[str, list[Delivered]]] = {
        shape.name: {server.name: [] for server in at_work} for shape in shapes
    }
    for shape in shapes:  # some compile what they run often
        for server in at_work:
            deliver(server, loads[server.name, shape.personal], shape, _WARM_SECONDS)
    for _ in range(count):
        for shape in shapes:
            for server in at_work:
                load = loads[server.name, shape.personal]
                found[shape.name][server.name].append(deliver(server, load, shape, seconds))
    return found


def deliver(server: Running, load: Load, shape: Shape, seconds: float) -> Delivered:
    """Publish for about so long."""
    taste = _TASTE_PUBLICATIONS * (CLIENTS if shape.personal else 1)
    tasted = load.ask(f"publish {taste} {shape.window} 0")
    count = max(taste, int(taste * seconds / tasted["seconds"]))
    figures: dict[str, float] = {}
    cpu = server.cpu(lambda: figures.update(load.ask(f"publish {count} {shape.window} 0")))
    return Delivered(cpu / figures["deliveries"] * 1e6, figures["deliveries"] / figures["seconds"])
