"""What a delivery costs beside the floor and the peers: the quick part of the figures."""

import contextlib
from pathlib import Path

import pytest

from tests.bench.realtime import arena, contestants, fanout, report


@pytest.mark.bench
def test_a_delivery_costs_little_more_than_the_kernel_takes(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        place = arena.Arena(tmp_path)
        present = contestants.present(tmp_path)
        at_work = [stack.enter_context(arena.running(place, item)) for item in present]
        shapes = [fanout.F, fanout.P, fanout.BURST]
        found = fanout.rounds(at_work, shapes, count=3, seconds=0.7)
    print()
    for name, figures in found.items():
        print(name)
        print("\n".join(report.beside(figures, present[0].name, present[1].name)))
