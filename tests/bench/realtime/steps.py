"""The figures one after the other: who takes part in each, how long, and how it is shown."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.bench.realtime import fanout, flat, idle, latency, report, storm, targets
from tests.bench.realtime.arena import Arena, Running, running, settle
from tests.bench.realtime.servers import Server
from tests.bench.realtime.targets import Verdict

_CLIENTS = 1_000


class Effort(NamedTuple):
    """How long to look. `few` and `many`: between them a connection's cost is measured."""

    rounds: int
    seconds: float
    watch_seconds: float
    few: int
    many: int
    peers: bool
    """Whether peers take part where only the floor and we are needed."""


QUICK = Effort(rounds=3, seconds=0.3, watch_seconds=2, few=1_000, many=3_000, peers=False)
FULL = Effort(rounds=7, seconds=1.0, watch_seconds=30, few=5_000, many=15_000, peers=True)


class Found(NamedTuple):
    """What a step found: for people, for later comparison, and beside the targets."""

    text: str
    figures: Any
    verdicts: list[Verdict]


def deliveries(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """CPU per delivery beside everybody: F, P and burst."""
    with _at_work(arena, servers) as at_work:
        shapes = [fanout.F, fanout.P, fanout.BURST]
        found = fanout.rounds(at_work, shapes, count=effort.rounds, seconds=effort.seconds)
    return Found(_tables(found, servers), found, targets.of_fanout(found))


def flatness(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """CPU per delivery with 100 to 10,000 subscribers and 1,000 to 20,000 connections."""
    with _at_work(arena, servers[:2]) as at_work:
        found = flat.measured(at_work, count=effort.rounds, seconds=effort.seconds)
    return Found(_tables(found, servers), found, targets.of_fanout(found))


def connections(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """Memory and CPU of connections that wait."""
    found: dict[str, idle.Idle] = {}
    for server in servers if effort.peers else servers[:2]:
        with running(arena, server) as at_work:
            found[server.name] = idle.waiting(
                at_work, effort.few, effort.many, seconds=effort.watch_seconds
            )
    text = report.named(
        f"{effort.few:,} to {effort.many:,} connections",
        {name: item._asdict() for name, item in found.items()},
    )
    return Found(text, found, targets.of_idle(found[servers[1].name]))


def half_load(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """Latency at half of what the floor's core can carry."""
    fastest = [item for item in servers if effort.peers and item.name in latency.KEEP_UP]
    with _at_work(arena, [*servers[:2], *fastest]) as at_work:
        rate = _half_load(at_work[0])
        found = latency.at_rate(
            at_work, _CLIENTS, rate, count=effort.rounds, seconds=max(2, effort.watch_seconds / 6)
        )
    text = report.named(f"{rate} a second to {_CLIENTS:,}", found)
    return Found(text, found, targets.of_latency(found))


def slow_clients(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """Latency of those who share a channel with clients that do not read."""
    with running(arena, servers[0]) as floor:
        rate = _half_load(floor)
    with _at_work(arena, [servers[1], servers[1]]) as (plain, crowded):
        without, beside = latency.beside_slow_clients(
            plain,
            crowded,
            _CLIENTS,
            rate,
            count=effort.rounds,
            seconds=max(2, effort.watch_seconds / 6),
        )
    found = {"without slow clients": without, f"beside {latency.SLOW_CLIENTS}": beside}
    return Found(report.named("slow clients", found), found, targets.of_slow(without, beside))


def reconnect_storm(arena: Arena, servers: list[Server], effort: Effort) -> Found:
    """Thousands come back at once."""
    del effort
    with running(arena, servers[1]) as ours:
        found = storm.reconnect(ours)
    text = report.named(f"storm of {storm.DROPPED:,}", {servers[1].name: found._asdict()})
    return Found(text, found, targets.of_storm(found))


STEPS = {
    "deliveries": deliveries,
    "flatness": flatness,
    "connections": connections,
    "half-load": half_load,
    "slow-clients": slow_clients,
    "storm": reconnect_storm,
}
QUICK_STEPS = [name for name in STEPS if name != "flatness"]


@contextlib.contextmanager
def _at_work(arena: Arena, servers: Sequence[Server]) -> Iterator[list[Running]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running(arena, server)) for server in servers]


def _half_load(floor: Running) -> int:
    with floor.connect(_CLIENTS) as load:
        settle()
        cost = fanout.deliver(floor, load, fanout.F, 1.0).cpu_seconds_per_million
    return int(1e6 / cost / 2 / _CLIENTS)


def _tables(found: dict[str, fanout.Rounds], servers: list[Server]) -> str:
    floor, ours = servers[0].name, servers[1].name
    return "\n".join(report.table(name, rounds, floor, ours) for name, rounds in found.items())
