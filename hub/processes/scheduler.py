"""Calls periodic tasks when they are due, by Taskiq's own scheduler."""

from taskiq import TaskiqEvents, TaskiqState
from taskiq.cli.scheduler.args import SchedulerArgs
from taskiq.cli.scheduler.run import run_scheduler

from core import config, log, metrics
from core.config import Settings
from hub import queue
from hub.processes.lifecycle import run_until_stopped

# A call that hangs in a black-holed Redis must not hold back the next one of its task.
_SEND_TIMEOUT_SECONDS = 10.0

_log = log.get("scheduler")


def run(settings: Settings) -> None:
    """Schedule until stopped."""
    log.configure(settings.log.level, settings.log.style)
    config.require(settings.redis.url, "redis.url")
    metrics.serve(settings.metrics.port)
    run_until_stopped(lambda: _main(settings))


async def _main(settings: Settings) -> None:
    scheduler = queue.create_scheduler(settings)
    scheduler.broker.add_event_handler(TaskiqEvents.CLIENT_STARTUP, _report_ready)
    await run_scheduler(
        SchedulerArgs(
            scheduler=scheduler,
            modules=[],
            configure_logging=False,
            send_timeout=_SEND_TIMEOUT_SECONDS,
        )
    )


def _report_ready(_state: TaskiqState) -> None:
    _log.info("process_ready")
