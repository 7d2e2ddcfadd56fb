"""Thousands lose their connection at once and come back, while publishing goes on."""

import time
from typing import NamedTuple

from tests.bench.realtime.arena import Running, settle

DROPPED = 5_000
UNTOUCHED = 1_000
_PARALLEL = 500
_RATE = 2_000
_CALM_SECONDS = 4


class Storm(NamedTuple):
    """What the storm took. Nothing was lost: each client counts its channel's publications."""

    seconds: float
    p99_calm_ms: float
    p99_storm_ms: float
    """Of the clients whose connections stayed."""


def reconnect(server: Running) -> Storm:
    """Reset connections of users with a channel each; they connect again with their positions."""
    clients = DROPPED + UNTOUCHED
    with server.connect(clients, personal=True) as load:
        settle()
        calm = load.ask(f"publish {_RATE * _CALM_SECONDS} 0 {_RATE}")
        load.tell(f"publish {_RATE * 2 * _CALM_SECONDS} 0 {_RATE}")
        time.sleep(1)
        storm = load.ask(f"drop {DROPPED} {_PARALLEL}")
        load.answer()  # the publications, which end later: they are also for those who came back
    return Storm(storm["seconds"], calm["p99_us"] / 1000, storm["p99_us"] / 1000)
