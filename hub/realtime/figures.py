"""Counting where every delivery or command passes: plain numbers, made into metrics on a scrape.

A labelled `inc()` of prometheus_client takes a lock and a microsecond, as much as a quarter of a
whole delivery. These take a tenth of that; only the event loop's thread writes them.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Protocol
from weakref import WeakSet

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import REGISTRY, Collector

SECONDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_QUANTILES: Final = (0.5, 0.99, 1.0)


class Tally:
    """A histogram: how many values were at most each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Iterable[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        """Add one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the running totals as Prometheus wants them."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class Traffic:
    """What one transport has carried since the start of the process."""

    __slots__ = (
        "accepted",
        "bytes_received",
        "bytes_sent",
        "inflight",
        "messages_received",
        "messages_sent",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.inflight = 0
        self.messages_sent = 0
        self.bytes_sent = 0
        self.messages_received = 0
        self.bytes_received = 0


TRAFFIC: Final[Mapping[str, Traffic]] = {
    transport: Traffic() for transport in ("websocket", "http_stream", "sse")
}


class Waiting(Protocol):
    """A connection, as far as its queue is concerned."""

    @property
    def waiting_bytes(self) -> int:
        """How much the client has yet to take."""
        ...


class Clients(Protocol):
    """All connections of a hub."""

    @property
    def connections(self) -> Collection[Waiting]:
        """Every one that is open."""
        ...


class Figures(Collector):
    """Exports tallies by name and label, the traffic, and how much waits for clients."""

    def __init__(self) -> None:
        self.clients: WeakSet[Clients] = WeakSet()
        self._tallies: dict[str, tuple[str, str, dict[str, Tally]]] = {}

    def tally(self, name: str, documentation: str, bounds: Iterable[float] = SECONDS) -> Tally:
        """Declare a histogram without labels."""
        tally = Tally(bounds)
        self._tallies[name] = (documentation, "", {"": tally})
        return tally

    def tallies(
        self, name: str, documentation: str, label: str, values: Iterable[str]
    ) -> Mapping[str, Tally]:
        """Declare a histogram with one label, whose values are known."""
        tallies = {value: Tally() for value in values}
        self._tallies[name] = (documentation, label, tallies)
        return tallies

    def collect(self) -> Iterator[Metric]:
        """Return the figures of this moment; maybe called by another thread than the loop's."""
        for name, (documentation, label, tallies) in self._tallies.items():
            family = HistogramMetricFamily(name, documentation, labels=[label] if label else [])
            for value, tally in tallies.items():
                family.add_metric([value] if label else [], tally.buckets(), tally.sum)
            yield family
        for name, documentation in _TRAFFIC_COUNTERS.items():
            family = CounterMetricFamily(_name(name), documentation, labels=["transport"])
            for transport, traffic in TRAFFIC.items():
                family.add_metric([transport], getattr(traffic, name))
            yield family
        inflight = GaugeMetricFamily(
            "pinghub_transport_connections_inflight", "Open connections.", labels=["transport"]
        )
        for transport, traffic in TRAFFIC.items():
            inflight.add_metric([transport], traffic.inflight)
        yield inflight
        yield self._queues()

    def _queues(self) -> Metric:
        """Return how much waits for clients: half of them, all but one in a hundred, the worst."""
        family = GaugeMetricFamily(
            "pinghub_client_queue_bytes",
            "Bytes that wait for a client to read, at quantiles over the open connections.",
            labels=["quantile"],
        )
        # Copied in one step, because connections come and go in the loop's thread meanwhile.
        waiting = sorted(
            connection.waiting_bytes
            for clients in list(self.clients)
            for connection in tuple(clients.connections)
        )
        for quantile in _QUANTILES:
            index = min(len(waiting) - 1, int(quantile * len(waiting)))
            family.add_metric([f"{quantile:g}"], waiting[index] if waiting else 0)
        return family


_TRAFFIC_COUNTERS: Final = {
    "accepted": "Connections accepted.",
    "messages_sent": "Messages sent: replies, pushes and pings.",
    "bytes_sent": "Bytes of messages sent, with the frames of websockets.",
    "messages_received": "Frames received, each with one command or more.",
    "bytes_received": "Bytes of frames received.",
}
_NAMES: Final = {
    "accepted": "pinghub_transport_connections_accepted",
    "bytes_sent": "pinghub_transport_messages_sent_size",
    "bytes_received": "pinghub_transport_messages_received_size",
}


def _name(field: str) -> str:
    return _NAMES.get(field, f"pinghub_transport_{field}")


FIGURES: Final = Figures()
REGISTRY.register(FIGURES)
