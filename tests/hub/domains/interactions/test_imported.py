"""What files tell of becomes interactions once, whatever happens on the way."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.contacts.service import Keys
from hub.domains.import_reading import service as reading
from hub.domains.imports import service
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import bring_in, follow, hand_in, move

MINUTE_MS = 60_000
BEGUN_MS = 1_763_700_000_000
CALLS = b"<calls>%s</calls>" % b"".join(
    b'<call number="+442079460000" duration="61" date="%d" type="1"/>' % (BEGUN_MS + n * MINUTE_MS)
    for n in range(5)
)
MAIL = b"""From: grace@example.com
To: ada@example.com
Date: Fri, 21 Nov 2025 09:30:00 +0000
Message-ID: <1@example.com>
Subject: Compilers

Hello
"""
MEETING = b"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//x//EN
BEGIN:VEVENT
UID:1@example.com
DTSTART:20251121T093000Z
DTEND:20251121T103000Z
SUMMARY:Linkers
ATTENDEE:mailto:grace@example.com
END:VEVENT
END:VCALENDAR
"""


async def add_grace(user: User) -> str:
    methods = [
        {"kind": "phone", "value": "+44 20 7946 0000"},
        {"kind": "email", "value": "grace@example.com"},
    ]
    answer = await user.client.post("/v1/contacts", json={"full_name": "Grace", "methods": methods})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def expect(user: User, admin: Any, contact: str, kinds: list[str]) -> None:
    """Expect these interactions with a contact and no other, each announced once."""
    answer = await user.client.get("/v1/interactions")
    items = answer.json()["items"]
    assert sorted(item["kind"] for item in items) == kinds
    assert {item["contact_id"] for item in items} == {contact}
    announced = "SELECT count(*) FROM events WHERE type = 'interaction.recorded'"
    assert await admin.fetchval(announced) == len(kinds)
    known = (await user.client.get(f"/v1/contacts/{contact}")).json()
    assert known["last_interaction_at"] == max(item["occurred_at"] for item in items)


@pytest.mark.req("INT-01")
async def test_calls_of_a_file_are_there_once_though_its_worker_died_and_all_was_told_again(
    hub: Running, admin: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    grace = await add_grace(ada)
    job_id = (await hand_in(ada, "calls_xml", CALLS)).json()["id"]
    house = hub.resources
    keys = Keys(house.cipher, house.index_key)
    await reading.read(house.system, keys, UUID(job_id))

    async def dies_in_the_middle() -> None:
        async with begin(house.system, SYSTEM) as tx:
            job = await reading.lock_job(tx, UUID(job_id))
            assert job is not None
            await service.bring_in(tx, keys, job)
            moved = await reading.lock_job(tx, UUID(job_id))
            assert moved is not None
            assert moved.items_processed == service.BATCH
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await dies_in_the_middle()
    assert await admin.fetchval("SELECT count(*) FROM interactions") == 0
    await move(hub, admin, job_id)
    told = await admin.fetch(
        """SELECT id, type, user_id, subject_id, payload::text, occurred_at FROM events
        WHERE type = 'import.progressed' ORDER BY id"""
    )
    await asyncio.gather(follow(hub, told), follow(hub, told))
    await expect(ada, admin, grace, ["call"] * 5)


async def test_what_a_file_tells_again_is_known_though_nobody_remembers_the_file(
    hub: Running, admin: Any, ada: User
) -> None:
    grace = await add_grace(ada)
    files = {"calls_xml": CALLS, "mail": MAIL, "calendar": MEETING}
    for _ in range(3):
        for name, data in files.items():
            assert (await bring_in(hub, admin, ada, name, data))["status"] == "completed"
        # What was brought in before is also known by its job: here only by its name at the source.
        await admin.execute("DELETE FROM import_jobs")
    await expect(ada, admin, grace, [*["call"] * 5, "email", "meeting"])
