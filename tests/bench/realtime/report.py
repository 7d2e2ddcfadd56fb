"""Figures as a table of ratios, and as JSON for a later comparison."""

import datetime as dt
import os
import platform
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.bench.realtime.fanout import Rounds, ratio


def table(title: str, rounds: Rounds, floor: str, ours: str) -> str:
    """Return a line per server: what a delivery costs, and its ratio to the floor and to us."""
    lines = [f"{title:32}{'CPU-s/1M':>9}{'x floor':>9}{'x ours':>9}{'deliveries/s':>14}"]
    for name, runs in rounds.items():
        cost = median(run.cpu_seconds_per_million for run in runs)
        rate = median(run.deliveries_per_second for run in runs)
        ratios = "".join(f"{ratio(runs, rounds[other]):9.2f}" for other in (floor, ours))
        lines.append(f"{name:32}{cost:9.2f}{ratios}{rate:14,.0f}")
    return "\n".join((*lines, ""))


def named(title: str, figures: dict[str, dict[str, float]]) -> str:
    """Return a line per server, a column per figure."""
    names = list(next(iter(figures.values())))
    lines = [f"{title:32}" + "".join(f"{name:>22}" for name in names)]
    lines += [
        f"{server:32}" + "".join(f"{found[name]:22.2f}" for name in names)
        for server, found in figures.items()
    ]
    return "\n".join((*lines, ""))


def save(folder: Path, figures: dict[str, Any]) -> Path:
    """Write figures with the machine they were seen on; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    about: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    path = folder / f"realtime-{now:%Y%m%d-%H%M%S}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(about | figures)))
    return path
