"""Files are brought in once, whatever happens meanwhile, and taken back if nobody minds."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.contacts.service import Keys
from hub.domains.import_reading import service as reading
from hub.domains.imports import service
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import book_of, bring_in, hand_in, move, move_together

CARDS = b"""BEGIN:VCARD
VERSION:3.0
FN:Grace Hopper
EMAIL;TYPE=work:grace@example.com
TEL:+1 202 555 0101
TEL;TYPE=cell:+1 202 555 0102
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Mary Hopper
TEL:+1 202 555 0101
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:Nobody's address
END:VCARD
BEGIN:VCARD
VERSION:3.0
BEGIN:VCARD
VERSION:2.1
N:Hopper;Grace
EMAIL:GRACE@example.com
BDAY:--02-30
END:VCARD
"""
CALLS = b"""<?xml version="1.0"?><calls>
<call number="+12025550102" duration="61" date="1700000000000" type="2"/>
<call number="+12025559999" duration="1" date="1700000000000" type="1"/>
<call number="+12025550102" duration="1" date="4100000000000" type="1"/>
</calls>"""


def counts(job: dict[str, Any]) -> dict[str, int]:
    names = ("total", "processed", "created", "known", "skipped", "failed")
    return {name: job[f"items_{name}"] for name in names}


@pytest.mark.req("CON-04", "CON-06")
async def test_same_file_three_times_leaves_the_same_address_book(
    hub: Running, admin: Any, ada: User
) -> None:
    first = await bring_in(hub, admin, ada, "vcard", CARDS)
    talks = await bring_in(hub, admin, ada, "calls_xml", CALLS)
    book = await book_of(admin, ada.id)

    assert first["status"] == "completed"
    assert counts(first) == {
        "total": 5,
        "processed": 5,
        "created": 3,
        "known": 1,
        "skipped": 0,
        "failed": 1,
    }
    assert counts(talks) == {
        "total": 3,
        "processed": 3,
        "created": 1,
        "known": 0,
        "skipped": 2,
        "failed": 0,
    }
    for _ in range(2):
        again = await bring_in(hub, admin, ada, "vcard", CARDS)
        assert (again["items_created"], again["items_known"]) == (0, 4)
        assert (await bring_in(hub, admin, ada, "calls_xml", CALLS))["items_created"] == 0
    assert await book_of(admin, ada.id) == book
    assert await admin.fetchval("SELECT count(*) FROM import_chunks") == 0
    assert await admin.fetchval("SELECT count(*) FROM import_rows WHERE payload IS NOT NULL") == 0


async def test_rows_say_what_is_wrong_with_which_entry(hub: Running, admin: Any, ada: User) -> None:
    job = await bring_in(hub, admin, ada, "vcard", CARDS)

    listed = await ada.client.get(
        f"/v1/imports/{job['id']}/rows", params={"with_problems": True, "limit": 1}
    )
    rest = await ada.client.get(
        f"/v1/imports/{job['id']}/rows",
        params={"with_problems": True, "cursor": listed.json()["next_cursor"]},
    )

    [unfinished], [half] = listed.json()["items"], rest.json()["items"]
    assert (unfinished["position"], unfinished["status"]) == (4, "failed")
    assert unfinished["problems"] == [{"code": "unfinished", "field": ""}]
    assert (half["position"], half["status"]) == (5, "known")
    assert half["problems"] == [{"code": "date_invalid", "field": "birthday"}]


async def test_dry_run_changes_nothing_until_it_is_started(
    hub: Running, admin: Any, ada: User
) -> None:
    before = await book_of(admin, ada.id)
    job = await bring_in(hub, admin, ada, "vcard", CARDS, dry_run=True)

    assert job["status"] == "ready"
    foreseen = counts(job)
    assert await book_of(admin, ada.id) == before
    rows = f"/v1/imports/{job['id']}/rows"
    assert [row["title"] for row in (await ada.client.get(rows)).json()["items"]] == [
        "Grace Hopper",
        "Mary Hopper",
        "Nobody's address",
        None,
        None,
    ]
    assert (await ada.client.post(f"/v1/imports/{job['id']}/start")).status_code == 200
    done = await move(hub, admin, str(job["id"]))
    assert done["status"] == "completed"
    assert counts(done) == foreseen
    assert {row["title"] for row in (await ada.client.get(rows)).json()["items"]} == {None}


@pytest.mark.req("CON-04")
async def test_worker_killed_at_any_step_leaves_no_half_and_no_double(
    hub: Running, admin: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    answer = await hand_in(ada, "vcard", CARDS)
    import_id = answer.json()["id"]
    keys = Keys(hub.resources.cipher, hub.resources.index_key)

    class KilledError(Exception):
        pass

    async def half_a_batch() -> None:
        async with begin(hub.resources.system, SYSTEM) as tx:
            job = await reading.lock_job(tx, UUID(import_id))
            assert job is not None
            await service.bring_in(tx, keys, job)
            raise KilledError

    await reading.read(hub.resources.system, keys, UUID(import_id))
    await reading.read(hub.resources.system, keys, UUID(import_id))
    with pytest.raises(KilledError):
        await half_a_batch()
    # All of its events are told again, as to a worker that has taken the dead one's place.
    done = await move(hub, admin, import_id)

    assert (done["status"], done["items_created"], done["items_known"]) == ("completed", 3, 1)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE NOT is_self") == 3


async def test_key_that_reads_contacts_learns_not_what_mails_are_about(
    hub: Running, admin: Any, ada: User, new_key: NewKey
) -> None:
    await bring_in(hub, admin, ada, "vcard", CARDS)
    mail = (
        b"From: grace@example.com\nDate: Mon, 1 Jun 2026 10:00:00 Z\nSubject: Psst\n"
        b"Message-ID: <1>\n\n"
    )
    new = b"BEGIN:VCARD\nFN:Alan Turing\nEND:VCARD\n"
    key = await new_key(ada, "contacts:read")

    for data, to_user, to_key in ((mail, "Psst", None), (new, "Alan Turing", "Alan Turing")):
        job = await bring_in(hub, admin, ada, "", data, dry_run=True)
        for client, title in ((ada.client, to_user), (key.client, to_key)):
            [row] = (await client.get(f"/v1/imports/{job['id']}/rows")).json()["items"]
            assert row["title"] == title


async def test_a_worker_reads_two_files_at_once_and_none_twice(
    hub: Running, admin: Any, ada: User
) -> None:
    house = hub.resources
    keys = Keys(house.cipher, house.index_key)
    jobs = [UUID((await hand_in(ada, "vcard", CARDS)).json()["id"]) for _ in range(3)]

    answers = await asyncio.gather(
        *(reading.read(house.system, keys, job) for job in (jobs[0], *jobs)),
        return_exceptions=True,
    )

    assert [getattr(answer, "code", None) for answer in answers] == [
        None,
        "service.unavailable",
        None,
        "service.unavailable",
    ]
    await reading.read(house.system, keys, jobs[2])
    assert await admin.fetchval("SELECT count(*) FROM import_jobs WHERE status = 'running'") == 3


async def test_two_imports_at_once_bring_in_once(
    hub: Running, admin: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    names = [f"Person {n}" for n in range(20)]
    file = "".join(
        f"BEGIN:VCARD\nFN:{name}\nEMAIL:p{n}@example.com\nEND:VCARD\n"
        for n, name in enumerate(names)
    ).encode()
    handed_in = [(await hand_in(ada, "vcard", file)).json()["id"] for _ in range(3)]

    done = await move_together(hub, admin, handed_in)

    assert {job["status"] for job in done} == {"completed"}
    assert sum(job["items_created"] for job in done) == len(names)
    known = await admin.fetch("SELECT full_name FROM contacts WHERE NOT is_self")
    assert sorted(row["full_name"] for row in known) == sorted(names)


async def test_whom_nothing_tells_apart_is_one_person(hub: Running, admin: Any, ada: User) -> None:
    born = b"BEGIN:VCARD\nFN:Bob Ross\nBDAY:1942-10-29\nEND:VCARD\n"
    file = b"BEGIN:VCARD\nFN:Bob Ross\nEND:VCARD\nBEGIN:VCARD\nFN:Ross, Bob\nEND:VCARD\n" + born

    foreseen = await bring_in(hub, admin, ada, "vcard", file, dry_run=True)
    first = await bring_in(hub, admin, ada, "vcard", file)
    again = await bring_in(
        hub, admin, ada, "vcard", file + born.replace(b"\nEND", b"\nNOTE:x\nEND")
    )

    assert (foreseen["items_created"], foreseen["items_known"]) == (2, 1)
    assert (first["items_created"], first["items_known"]) == (2, 1)
    assert (again["items_created"], again["items_known"]) == (0, 4)


async def test_mailbox_of_an_office_is_several_people(hub: Running, admin: Any, ada: User) -> None:
    office = b"".join(
        b"BEGIN:VCARD\nFN:%b\nEMAIL:office@example.com\nEND:VCARD\n" % name
        for name in (b"Grace Hopper", b"Alan Turing", b"Hopper, G.", b"", b"office@example.com")
    )
    foreseen = await bring_in(hub, admin, ada, "vcard", office, dry_run=True)
    first = await bring_in(hub, admin, ada, "vcard", office)
    more = b"BEGIN:VCARD\nFN:\nEMAIL:alone@example.com\nEND:VCARD\n"
    await bring_in(hub, admin, ada, "vcard", more)
    named = await bring_in(hub, admin, ada, "vcard", more.replace(b"FN:", b"FN:Joan Clarke"))
    again = await bring_in(hub, admin, ada, "vcard", office.replace(b"\nEND", b"\nNOTE:x\nEND"))

    for job in (foreseen, first):
        assert (job["items_created"], job["items_known"]) == (2, 3)
    assert (named["items_created"], named["items_known"]) == (0, 1)
    assert (again["items_created"], again["items_known"]) == (0, 5)


async def test_whoever_is_called_by_a_number_is_known_by_it(
    hub: Running, admin: Any, ada: User
) -> None:
    number = b"BEGIN:VCARD\nTEL:+1 202 555 0101\nEND:VCARD\n"
    await bring_in(hub, admin, ada, "vcard", number)
    again = await bring_in(hub, admin, ada, "vcard", number.replace(b"\nEND", b"\nNOTE:x\nEND"))
    assert (again["items_created"], again["items_known"]) == (0, 1)


async def test_cancelled_import_forgets_the_file(hub: Running, admin: Any, ada: User) -> None:
    answer = await hand_in(ada, "vcard", CARDS)
    import_id = answer.json()["id"]

    assert (await ada.client.post(f"/v1/imports/{import_id}/cancel")).status_code == 200
    job = await move(hub, admin, import_id)

    assert job["status"] == "cancelled"
    assert await admin.fetchval("SELECT count(*) FROM import_chunks") == 0
    assert (await ada.client.post(f"/v1/imports/{import_id}/start")).status_code == 409
