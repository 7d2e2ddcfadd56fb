"""Moves imports on: every step of a job is an event, and the next step is the reaction to it."""

from collections.abc import Callable

import msgspec

from core.db import Tx
from hub.domains.contacts.service import Keys
from hub.domains.events.schemas import Errand, Event
from hub.domains.import_reading import service as reading
from hub.domains.imports import service
from hub.domains.imports.events import ImportProgressed
from hub.providers.outside import Outside


async def advance(keys: Callable[[], Keys], tx: Tx, event: Event) -> Errand | None:
    """Do the next step of an import, if it is still where the event says."""
    told = msgspec.json.decode(event.payload, type=ImportProgressed, strict=False)
    job = await reading.lock_job(tx, event.subject_id)
    if job is None or (
        (job.status, job.items_processed, job.items_undone, job.items_kept)
        != (told.status, told.items_processed, told.items_undone, told.items_kept)
    ):
        # Somebody has stopped it, or it was moved on already.
        return None
    match job.status:
        case "uploaded":

            async def read(outside: Outside) -> None:
                await reading.read(outside.system(), keys(), job.id)

            return read
        case "running":
            await service.bring_in(tx, keys(), job)
        case "undoing":
            await service.take_back(tx, job)
        case "cancelled" | "failed":
            await service.forget_file(tx, job)
        case _:
            pass
    return None


async def purge(tx: Tx) -> bool:
    """Give up imports that nobody moves on any more."""
    return await service.purge(tx)
