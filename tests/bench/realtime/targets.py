"""What our hub has to reach (docs/performance.md): each a figure, its target, and the verdict."""

from statistics import median
from typing import NamedTuple

from tests.bench.realtime.fanout import Rounds, ratio
from tests.bench.realtime.idle import Idle
from tests.bench.realtime.storm import Storm

_FLOOR = "C epoll, the floor"
_OURS = "Ping Hub"
_BESIDE = {
    "F": {
        _FLOOR: 1.25,
        "litestar.channels": 0.25,
        "Socket.IO, Redis adapter": 0.5,
        "websockets broadcast()": 0.75,
        "nginx nchan": 1.0,
        "picows": 1.0,
    },
    "P": {
        _FLOOR: 1.4,
        "litestar.channels": 0.2,
        "Socket.IO, Redis adapter": 0.45,
        "nginx nchan": 0.45,
    },
    "F with 100 subscribers": {_FLOOR: 1.25},
    "F with 1,000 subscribers": {_FLOOR: 1.25},
    "F with 10,000 subscribers": {_FLOOR: 1.25},
}
_BURST_PER_CPU_SECOND = 2_500_000


class Verdict(NamedTuple):
    """One target. `at_least`: more is better."""

    what: str
    figure: float
    target: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is as good as the target."""
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "reached" if self.reached else "MISSED"
        return f"{self.what:48}{self.figure:14,.2f}  {sign} {self.target:12,.2f}  {verdict}"


def of_fanout(found: dict[str, Rounds]) -> list[Verdict]:
    """Judge deliveries."""
    verdicts = [
        Verdict(f"{shape}: times {other}", ratio(rounds[_OURS], rounds[other]), target)
        for shape, rounds in found.items()
        for other, target in _BESIDE.get(shape, {}).items()
        if other in rounds
    ]
    if "burst" in found:
        per_cpu_second = 1e6 / median(run.cpu_seconds_per_million for run in found["burst"][_OURS])
        verdicts.append(
            Verdict(
                "burst: deliveries per CPU second",
                per_cpu_second,
                _BURST_PER_CPU_SECOND,
                at_least=True,
            )
        )
    return verdicts


def of_idle(idle: Idle) -> list[Verdict]:
    """Judge connections that wait."""
    return [
        Verdict("KiB per idle connection", idle.kib_per_connection, 6.0),
        Verdict("CPU ms per connect", idle.cpu_ms_per_connect, 0.2),
    ]


def of_latency(at_half_load: dict[str, dict[str, float]]) -> list[Verdict]:
    """Judge the p99 at half load beside the floor's."""
    ours, floor = at_half_load[_OURS], at_half_load[_FLOOR]
    return [Verdict("p99 at half load: times the floor", ours["p99_ms"] / floor["p99_ms"], 1.3)]


def of_slow(without: dict[str, float], beside: dict[str, float]) -> list[Verdict]:
    """Judge the p99 of those who share a channel with clients that do not read."""
    return [Verdict("p99 beside slow clients: times", beside["p99_ms"] / without["p99_ms"], 1.2)]


def of_storm(storm: Storm) -> list[Verdict]:
    """Judge the p99 of those whose connections stayed."""
    return [Verdict("p99 in a storm: times", storm.p99_storm_ms / storm.p99_calm_ms, 2.0)]
