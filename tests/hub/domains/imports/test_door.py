"""Files are known by what is in them, and what cannot be brought in is refused at the door."""

from typing import Any

import pytest

from hub.domains.imports import service
from hub.domains.imports.schemas import FILE_MAX_BYTES
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import bring_in, hand_in, move
from tests.hub.domains.imports.test_imports import CALLS, CARDS
from tests.hub.domains.imports.test_many import cards


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
