"""How long a publication takes to its subscribers, beside the floor, and beside slow neighbours."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from tests.bench.realtime.arena import Running, settle
from tests.bench.realtime.load import Load

KEEP_UP = ("picows", "ws", "nginx nchan")
"""Peers that can carry half of the floor's full load."""
SLOW_CLIENTS = 20
_SLOW_BUFFER_BYTES = 4_096
_FILL_PUBLICATIONS = 3_000


def at_rate(
    servers: Sequence[Running], clients: int, rate: int, *, count: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Publish so often a second to one channel, evenly spaced: latencies in ms by server."""
    loads = [server.connect(clients) for server in servers]
    settle()
    runs: dict[str, list[dict[str, Any]]] = {server.name: [] for server in servers}
    for _ in range(count):
        for server, load in zip(servers, loads, strict=True):
            runs[server.name].append(_run(load, rate, seconds))
    for load in loads:
        load.close()
    return {name: _middle(found) for name, found in runs.items()}


def beside_slow_clients(
    plain: Running, beside: Running, clients: int, rate: int, *, count: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the latencies without and with clients that do not read, of two equal servers."""
    loads = [server.connect(clients) for server in (plain, beside)]
    settle()
    without: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for _ in range(count):
        with beside.prepare(SLOW_CLIENTS, receive_buffer=_SLOW_BUFFER_BYTES) as slow:
            slow.ask(f"open {SLOW_CLIENTS} {SLOW_CLIENTS}")
            slow.ask(f"stall {SLOW_CLIENTS}")
            for load in loads:  # until the kernel's buffers are full
                load.ask(f"publish {_FILL_PUBLICATIONS} 4 0")
            without.append(_run(loads[0], rate, seconds))
            others.append(_run(loads[1], rate, seconds))
    for load in loads:
        load.close()
    return _middle(without), _middle(others)


def _run(load: Load, rate: int, seconds: float) -> dict[str, Any]:
    return load.ask(f"publish {int(rate * seconds)} 0 {rate}")


def _middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {
        f"{name}_ms": median(run[f"{name}_us"] for run in runs) / 1000
        for name in ("p50", "p95", "p99", "max")
    }
