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
from hub.domains.imports.schemas import FILE_MAX_BYTES
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import book_of, bring_in, hand_in, move, move_together
from tests.hub.domains.imports.test_many import cards

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


@pytest.mark.req("CON-06")
async def test_undo_takes_back_what_nobody_has_changed(hub: Running, admin: Any, ada: User) -> None:
    before = await book_of(admin, ada.id)
    people = await bring_in(hub, admin, ada, "vcard", CARDS)
    talks = await bring_in(hub, admin, ada, "calls_xml", CALLS)
    await admin.execute("UPDATE contacts SET bio = 'Admiral.' WHERE full_name = 'Mary Hopper'")

    await ada.client.post(f"/v1/imports/{people['id']}/undo")
    undone = await move(hub, admin, str(people["id"]))

    # Grace was talked to in another import.
    assert (undone["status"], undone["items_undone"], undone["items_kept"]) == ("undone", 1, 2)
    await ada.client.post(f"/v1/imports/{talks['id']}/undo")
    assert (await move(hub, admin, str(talks["id"])))["items_undone"] == 1
    rows = await ada.client.get(f"/v1/imports/{people['id']}/rows", params={"status": "kept"})
    assert [row["position"] for row in rows.json()["items"]] == [1, 2]
    await admin.execute("DELETE FROM contacts WHERE NOT is_self")
    assert await book_of(admin, ada.id) == before


LATER_EDITS = (
    "UPDATE contacts SET tags = '{friends}' WHERE id = $1",
    "UPDATE contacts SET archived_at = now() WHERE id = $1",
    "UPDATE contact_methods SET label = 'new' WHERE contact_id = $1",
    "DELETE FROM contact_methods WHERE contact_id = $1",
    """INSERT INTO interests (user_id, contact_id, category, topic)
    SELECT user_id, id, 'science', 'compilers' FROM contacts WHERE id = $1""",
    """INSERT INTO reminders (user_id, contact_id, title, timezone, first_local, due_at)
    SELECT user_id, id, 'Call', 'UTC', '2030-01-01T00:00:00', '2030-01-01Z' FROM contacts
    WHERE id = $1""",
    """INSERT INTO connection_goals (user_id, contact_id, kind, intention)
    SELECT user_id, id, 'mentor', 'Learn' FROM contacts WHERE id = $1""",
    """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind)
    SELECT c.user_id, least(c.id, s.id), greatest(c.id, s.id), 'friend'
    FROM contacts AS c JOIN contacts AS s ON s.user_id = c.user_id AND s.is_self WHERE c.id = $1""",
    """WITH circle AS (
      INSERT INTO circles (user_id, name, tier, cadence_days)
      SELECT user_id, 'Inner', 1, 7 FROM contacts WHERE id = $1 RETURNING user_id, id
    )
    INSERT INTO circle_members (user_id, circle_id, contact_id)
    SELECT user_id, id, $1 FROM circle""",
    """INSERT INTO contact_relationship_types
      (user_id, contact_id, type_owner_id, relationship_type_id)
    SELECT c.user_id, c.id, t.owner_id, t.id
    FROM contacts AS c, relationship_types AS t WHERE c.id = $1 AND t.user_id IS NULL LIMIT 1""",
)


@pytest.mark.req("CON-06")
async def test_undo_leaves_whatever_was_done_later(hub: Running, admin: Any, ada: User) -> None:
    file = cards(len(LATER_EDITS) + 3)
    job = await bring_in(hub, admin, ada, "vcard", file)
    listed = await ada.client.get(f"/v1/imports/{job['id']}/rows")
    made = [UUID(row["contact_id"]) for row in listed.json()["items"]]
    noted, matched, untouched, *others = made
    for contact_id, edit in zip(others, LATER_EDITS, strict=True):
        await admin.execute(edit, contact_id)
    # As many letters as before.
    edit = await ada.client.patch(f"/v1/contacts/{noted}", json={"notes": "Met at a farm."})
    assert edit.status_code == 200, edit.text
    # What the hub found out by itself.
    await admin.execute(
        "UPDATE contacts SET strength = 0.4, linked_user_id = user_id, linked_by = 'match' "
        "WHERE id = $1",
        matched,
    )

    await ada.client.post(f"/v1/imports/{job['id']}/undo")
    undone = await move(hub, admin, str(job["id"]))

    left = await admin.fetch("SELECT id FROM contacts WHERE NOT is_self ORDER BY id")
    assert [row["id"] for row in left] == sorted({noted, *others})
    assert untouched not in {noted, *others}
    assert (undone["items_undone"], undone["items_kept"]) == (2, len(others) + 1)


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


async def test_cancelled_import_forgets_the_file(hub: Running, admin: Any, ada: User) -> None:
    answer = await hand_in(ada, "vcard", CARDS)
    import_id = answer.json()["id"]

    assert (await ada.client.post(f"/v1/imports/{import_id}/cancel")).status_code == 200
    job = await move(hub, admin, import_id)

    assert job["status"] == "cancelled"
    assert await admin.fetchval("SELECT count(*) FROM import_chunks") == 0
    assert (await ada.client.post(f"/v1/imports/{import_id}/start")).status_code == 409


async def test_file_that_only_its_reader_refuses_fails_by_name(
    hub: Running, admin: Any, ada: User
) -> None:
    for file_format, data, code in (
        ("vcard", b"Hello", "import.not_this_format"),
        ("google_csv", b"a,b\n1,2\n", "import.columns_unknown"),
        ("calls_xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><smses>&b;</smses>", "import.unsafe"),
    ):
        job = await bring_in(hub, admin, ada, file_format, data)
        assert (job["status"], job["error"]) == ("failed", code)
    assert await admin.fetchval("SELECT count(*) FROM import_chunks") == 0


@pytest.mark.req("CON-06")
async def test_a_file_is_what_it_is_and_not_what_it_is_called(
    hub: Running, admin: Any, ada: User
) -> None:
    for data, found in ((CARDS, "vcard"), (CALLS, "calls_xml")):
        job = await bring_in(hub, admin, ada, "", data)
        assert (job["format"], job["status"]) == (found, "completed")
    for said, data, detail in (
        ("calendar", CARDS, "It looks like `vcard`."),
        ("vcard", CALLS, "It looks like `calls_xml`."),
        ("vcard", b"PK\x03\x04rest", "This is a ZIP archive; unpack or export it."),
        ("", b"a,b\n1,2\n", "Say its `format`; of other CSV files, send a `mapping`."),
    ):
        refused = (await hand_in(ada, said, data)).json()
        assert (refused["code"], refused["detail"]) == ("import.not_this_format", detail)
    assert (await hand_in(ada, "mail", b" \n\t")).json()["code"] == "import.empty"


@pytest.mark.req("CON-06")
async def test_of_a_mailbox_with_attachments_only_the_heads_are_taken(
    hub: Running, admin: Any, ada: User
) -> None:
    await bring_in(hub, admin, ada, "vcard", CARDS)
    body = (b"QUJD" * 19 + b"\n") * 9_000
    mails = b"".join(
        b"From x Mon Jun  1 10:00:00 2026\nFrom: grace@example.com\nTo: me@example.com\n"
        b"Message-ID: <%d@example.com>\nDate: Mon, 1 Jun 2026 10:00:%02d Z\n\nHello.\n%b\n"
        % (n, n, body)
        for n in range(30)
    )
    assert len(mails) > FILE_MAX_BYTES

    answer = await hand_in(ada, "", mails)
    kept = await admin.fetchval("SELECT sum(length(content)) FROM import_chunks")
    job = await move(hub, admin, answer.json()["id"])

    assert (job["status"], job["items_created"], job["file_bytes"]) == ("completed", 30, len(mails))
    assert kept < 10_000


async def test_door_refuses_what_it_need_not_read(ada: User, grace: User) -> None:
    assert (await hand_in(ada, "vcard", b"")).json()["code"] == "import.empty"
    assert (await hand_in(ada, "csv", b"a\n1")).json()["code"] == "import.mapping_invalid"
    refused = await hand_in(ada, "csv", b"a\n1", mapping='{"a": "shoe_size"}')
    assert refused.json()["code"] == "import.mapping_invalid"
    large = await hand_in(ada, "vcard", cards(1) + b"x" * FILE_MAX_BYTES)
    assert large.json()["code"] == "request.too_large"
    taken = [await hand_in(ada, "vcard", CARDS) for _ in range(service.OPEN_MAX)]
    assert (await hand_in(ada, "vcard", CARDS)).json()["code"] == "import.busy"
    other = await grace.client.get(f"/v1/imports/{taken[0].json()['id']}")
    assert other.json()["code"] == "import.not_found"


async def test_repeated_request_is_one_import(ada: User) -> None:
    first, second = [await hand_in(ada, "vcard", CARDS, key="once") for _ in range(2)]

    assert first.json() == second.json()
    assert len((await ada.client.get("/v1/imports")).json()["items"]) == 1


async def test_what_people_took_away_themselves_is_undone_without_anybody_else(
    hub: Running, admin: Any, ada: User
) -> None:
    await bring_in(hub, admin, ada, "vcard", CARDS)
    talks = await bring_in(hub, admin, ada, "calls_xml", CALLS)
    await admin.execute("DELETE FROM interactions")

    await ada.client.post(f"/v1/imports/{talks['id']}/undo")
    undone = await move(hub, admin, str(talks["id"]))

    assert (undone["items_undone"], undone["items_kept"]) == (1, 0)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE NOT is_self") == 3


async def test_undone_at_once_after_it_was_cancelled_keeps_nothing_of_the_file(
    hub: Running, admin: Any, ada: User
) -> None:
    job = await bring_in(hub, admin, ada, "vcard", CARDS, dry_run=True)
    await ada.client.post(f"/v1/imports/{job['id']}/cancel")
    await ada.client.post(f"/v1/imports/{job['id']}/undo")

    assert (await move(hub, admin, str(job["id"])))["status"] == "undone"
    assert await admin.fetchval("SELECT count(*) FROM import_rows WHERE payload IS NOT NULL") == 0
