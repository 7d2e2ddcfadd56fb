"""What nobody will ever move on is given up; what only waits for a worker is not."""

from typing import Any

from core.actor import SYSTEM
from core.db import begin
from hub.domains.imports import tasks
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import hand_in


async def handed_in(hub: Running, ada: User, admin: Any) -> tuple[str, Any]:
    """Return an import that was handed in three hours ago, and its event's id."""
    made = await hand_in(ada, "vcard", b"BEGIN:VCARD\nFN:Ann\nEND:VCARD\n")
    assert made.status_code == 202, made.text
    job = made.json()["id"]
    await admin.execute("ALTER TABLE import_jobs DISABLE TRIGGER USER")
    await admin.execute("UPDATE import_jobs SET updated_at = now() - interval '3 hours'")
    await admin.execute("ALTER TABLE import_jobs ENABLE TRIGGER USER")
    event = await admin.fetchval(
        "SELECT id FROM events WHERE type = 'import.progressed' AND subject_id::text = $1", job
    )
    return job, event


async def purged(hub: Running, user: User, job: str) -> tuple[str, str | None]:
    async with begin(hub.resources.system, SYSTEM) as tx:
        assert not await tasks.purge(tx)
    found = (await user.client.get(f"/v1/imports/{job}")).json()
    return found["status"], found["error"]


async def test_what_was_handed_in_while_no_worker_ran_is_brought_in_however_late(
    hub: Running, ada: User, admin: Any
) -> None:
    job, event = await handed_in(hub, ada, admin)
    assert await purged(hub, ada, job) == ("uploaded", None)
    # The relay is back, the workers are not.
    await admin.execute("DELETE FROM outbox")
    await admin.execute(
        """INSERT INTO consumer_tasks (event_id, occurred_at, consumer)
        SELECT id, occurred_at, 'imports.advance' FROM events WHERE id = $1""",
        event,
    )
    assert await purged(hub, ada, job) == ("uploaded", None)
    # It has failed too often.
    await admin.execute("UPDATE consumer_tasks SET status = 'dead'")
    assert await purged(hub, ada, job) == ("failed", "import.stalled")
