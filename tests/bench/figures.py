"""How benchmarks say what they have measured: percentiles in milliseconds, one line each."""

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(name: str, seconds: Sequence[float], note: str = "") -> None:
    """Print p50, p95 and p99 of some durations."""
    p50, p95, p99 = (percentile(seconds, share) * 1000 for share in (0.5, 0.95, 0.99))
    print(f"{name:36} p50 {p50:7.1f}  p95 {p95:7.1f}  p99 {p99:7.1f} ms  {note}")
