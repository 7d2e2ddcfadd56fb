"""Figures as a table of ratios, and as JSON for a later comparison."""

import datetime as dt
import json
import os
import platform
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.realtime.fanout import Delivered


def beside(figures: dict[str, list[Delivered]], floor: str, ours: str) -> list[str]:
    """Return a line per server: what a delivery costs, and its ratio to the floor and to us."""
    lines: list[str] = []
    for name, runs in figures.items():
        cost = median(run.cpu_seconds_per_million for run in runs)
        rate = median(run.deliveries_per_second for run in runs)
        ratios = "".join(f"{_ratio(runs, figures[other]):9.2f}" for other in (floor, ours))
        lines.append(f"{name:32}{cost:9.2f}{ratios}{rate:14,.0f}")
    head = f"{'':32}{'CPU-s/1M':>9}{'x floor':>9}{'x ours':>9}{'deliveries/s':>14}"
    return [head, *lines]


def _ratio(runs: list[Delivered], others: list[Delivered]) -> float:
    """Compare what ran in the same round: the machine was as loud for both."""
    return median(
        run.cpu_seconds_per_million / other.cpu_seconds_per_million
        for run, other in zip(runs, others, strict=True)
    )


def save(folder: Path, figures: dict[str, Any]) -> Path:
    """Write figures with the machine they were seen on; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    path = folder / f"realtime-{now:%Y%m%d-%H%M%S}.json"
    machine = {"python": platform.python_version(), "kernel": platform.release()}
    machine |= {"cores": os.cpu_count(), "load": os.getloadavg()}
    about = {"at": now.isoformat(timespec="seconds"), "machine": machine}
    path.write_text(json.dumps(about | figures, indent=1))
    return path
