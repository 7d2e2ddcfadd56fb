"""Runs consumer tasks and periodic tasks, by Taskiq's own worker in this very process.

`taskiq worker hub.queue:create_broker` runs the same in child processes that it watches over; here
the supervisor does that, so no child can outlive us.
"""

from taskiq.cli.worker.args import WorkerArgs
from taskiq.cli.worker.run import start_listen

from core import config, log, metrics
from core.config import Settings
from hub.providers.keys import read_cipher, read_index_key


def run(settings: Settings) -> None:
    """Work until stopped; tasks under way are finished."""
    log.configure(settings.log.level, settings.log.style)
    config.require(settings.redis.url, "redis.url")
    config.require(settings.database.system_url, "database.system_url")
    # One line for what is missing, before Taskiq takes over.
    read_cipher(settings)
    read_index_key(settings)
    metrics.serve(settings.metrics.port)
    start_listen(
        WorkerArgs(
            broker="hub.queue:create_broker",
            modules=[],
            configure_logging=False,
            # More would only wait for connections of the pool.
            max_async_tasks=settings.database.worker_pool_max,
        )
    )
