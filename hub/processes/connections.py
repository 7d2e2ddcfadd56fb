"""How many connections to PostgreSQL each process may hold: the server has only so many."""

from core.config import Database
from hub.http.deps import READINESS_CONNECTIONS
from hub.processes import ingest, relay


def most_of(settings: Database) -> dict[str, int]:
    """Return by process how many one of it holds at most, to the primary."""
    return {
        "serve": settings.pool_max + settings.system_pool_max + READINESS_CONNECTIONS,
        "worker": settings.worker_pool_max,
        "ingest": ingest.CONNECTIONS,
        "relay": relay.CONNECTIONS,
    }


def told(needed: dict[str, int], usable: int) -> str:
    """Say what one of each process needs, and how many `serve` more the server has room for."""
    total = sum(needed.values())
    each = ", ".join(f"{name} {count}" for name, count in needed.items())
    more = max(0, usable - total) // needed["serve"]
    return f"one of each process needs {total} of {usable} ({each}); room for {more} more serve"
