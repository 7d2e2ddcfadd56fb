"""Moves imports on as relay and worker do, without either: each event's reaction, in order."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec

from core.actor import SYSTEM
from core.db import begin
from core.errors import DomainError
from hub.domains.contacts.service import Keys
from hub.domains.events.schemas import Errand, Event
from hub.domains.imports import tasks
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from tests.fixtures.app import Running, User

STEPS_MAX = 500
SECONDS = 60


async def hand_in(
    user: User, file_format: str, data: bytes, *, key: str = "", **params: Any
) -> httpx.Response:
    """Send a file as its owner does; an empty format is not said."""
    key = key or str(uuid4())
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await user.client.post(
                "/v1/contacts/import",
                params=({"format": file_format} if file_format else {}) | params,
                content=data,
                headers={"Idempotency-Key": key, "Content-Type": "application/octet-stream"},
            )
            # Redis takes its time, on a machine that is busy with tests.
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]))


async def move(hub: Running, admin: Any, import_id: str) -> dict[str, Any]:
    """React to the events of an import until nothing follows; return what became of it."""
    [job] = await move_together(hub, admin, [import_id])
    return job


async def move_together(
    hub: Running, admin: Any, import_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Move imports on, the next step of each at the same time; return what became of them."""
    jobs = [UUID(import_id) for import_id in import_ids]
    done = 0
    for _ in range(STEPS_MAX):
        rows = await admin.fetch(
            """SELECT id, type, user_id, subject_id, payload::text, occurred_at FROM events
            WHERE type = 'import.progressed' AND subject_id = ANY($1) ORDER BY id OFFSET $2""",
            jobs,
            done,
        )
        if not rows:
            break
        await asyncio.gather(
            *(follow(hub, [row for row in rows if row["subject_id"] == job]) for job in jobs)
        )
        done += len(rows)
    return [
        dict(await admin.fetchrow("SELECT * FROM import_jobs WHERE id = $1", job)) for job in jobs
    ]


async def follow(hub: Running, rows: Sequence[Any]) -> None:
    """React to events of one import, in their order."""
    for row in rows:
        event_id, kind, user_id, subject_id, payload, at = row
        raw = msgspec.Raw(payload.encode())
        await react(hub, Event(event_id, kind, user_id, subject_id, raw, at))


async def react(hub: Running, event: Event) -> None:
    """Run the reaction to an event, and its errand."""
    house = hub.resources
    keys = Keys(house.cipher, house.index_key)
    async with begin(house.system, SYSTEM) as tx:
        errand = await tasks.advance(lambda: keys, tx, event)
    if errand is not None:
        sender = MqttSender(hub.settings.mqtt)
        outside = Outside(hub.settings, sender, lambda: house.system, lambda: house.cipher)
        await run(errand, outside)


async def run(errand: Errand, outside: Outside) -> None:
    """Run an errand, again if it has to wait."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await errand(outside)
            except DomainError as error:
                if error.code != "service.unavailable":
                    raise
            else:
                return
            await asyncio.sleep(0.01)


async def bring_in(
    hub: Running, admin: Any, user: User, file_format: str, data: bytes, **params: Any
) -> dict[str, Any]:
    """Hand in a file and bring it in."""
    answer = await hand_in(user, file_format, data, **params)
    assert answer.status_code == 202, answer.text
    return await move(hub, admin, answer.json()["id"])


async def book_of(admin: Any, user_id: UUID) -> str:
    """Return a digest of what a user knows of people, as it is in the database."""
    return await admin.fetchval(
        """SELECT md5(coalesce(string_agg(t.row, E'\\n' ORDER BY t.row), '')) FROM (
          SELECT c::text AS row FROM contacts AS c WHERE user_id = $1
          UNION ALL SELECT m::text FROM contact_methods AS m WHERE user_id = $1
          UNION ALL SELECT i::text FROM interactions AS i WHERE user_id = $1
          UNION ALL SELECT p::text FROM interaction_participants AS p WHERE user_id = $1
        ) AS t""",
        user_id,
    )
