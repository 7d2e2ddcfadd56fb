"""What a delivery costs beside the floor and the peers: the quick part of the figures."""

import contextlib
from pathlib import Path

import pytest

from tests.bench.realtime import arena, fanout, floor, our_hub, report
from tests.bench.realtime.load import compiled


@pytest.mark.bench
def test_a_delivery_costs_little_more_than_the_kernel_takes(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(arena.opened(tmp_path))
        contestants = [floor.server(compiled("floor", tmp_path)), our_hub.server()]
        at_work = [stack.enter_context(arena.running(place, item)) for item in contestants]
        shapes = [fanout.F, fanout.P, fanout.BURST]
        found = fanout.rounds(at_work, shapes, count=3, seconds=0.7)
    print()
    for name, figures in found.items():
        print(name)
        print("\n".join(report.beside(figures, contestants[0].name, contestants[1].name)))
