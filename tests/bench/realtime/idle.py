"""What a connection costs that only waits: memory, the work of connecting, the work of staying."""

import time
from typing import NamedTuple

from tests.bench.realtime import machine
from tests.bench.realtime.arena import Running, settle


class Idle(NamedTuple):
    """Costs of one more connection, between two numbers of them."""

    kib_per_connection: float
    cpu_ms_per_connect: float
    cpu_share_when_idle: float
    """Of one core, with all connections open: mostly pings and their answers."""


def waiting(server: Running, few: int, many: int, *, seconds: float) -> Idle:
    """Connect `few` users with a channel each, then more, and watch them wait so long."""
    with server.prepare(many, personal=True) as load:
        load.ask(f"open {few} 100")
        settle()
        memory = machine.memory_kib(server.pid)
        connecting = server.cpu(lambda: load.ask(f"open {many - few} 100"))
        settle()
        memory = machine.memory_kib(server.pid) - memory
        idling = server.cpu(lambda: time.sleep(seconds))
    more = many - few
    return Idle(memory / more, connecting / more * 1000, idling / seconds)
