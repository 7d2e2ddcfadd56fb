"""Files as programs of today write them: tried out, brought in, brought in again, taken back."""

from typing import Any

import pytest

from tests.fixtures.app import Running, User
from tests.hub.domains.imports.formats.test_calendar import SERIES
from tests.hub.domains.imports.formats.test_calls import BACKUP
from tests.hub.domains.imports.formats.test_mail import TAKEOUT
from tests.hub.domains.imports.formats.test_spreadsheets import GOOGLE, OUTLOOK
from tests.hub.domains.imports.formats.test_vcard import IPHONE, SERVER
from tests.hub.domains.imports.moving import book_of, bring_in, move

CONTACTS = b"""{"contacts": [
{"name": "Ada Lovelace", "emails": [{"value": "ada@example.com", "label": null}], "phones": null},
{"name": "Grace Hopper", "emails": [{"value": "grace@example.com"}],
 "phones": [{"value": "+49 170 5550101", "label": "mobile"}]}]}"""
LINKEDIN = b"""Notes:
"When exporting your connection data, you may notice that some of the email addresses are missing."

First Name,Last Name,URL,Email Address,Company,Position,Connected On
Linus,Beispiel,https://www.linkedin.com/in/linus-beispiel,,ACME,CTO,10 Mar 2023
"""
FILES: dict[str, tuple[bytes, list[str | None]]] = {
    "phone_json": (CONTACTS, ["Ada Lovelace", "Grace Hopper"]),
    "vcard": ((IPHONE + SERVER).encode(), ["Dr. Erika Maria Muster", "山田太郎"]),
    "google_csv": (GOOGLE.encode(), ["Erika Maria Muster", "Joschi"]),
    "linkedin_csv": (LINKEDIN, ["Linus Beispiel"]),
    # Erika has brought her address with her from her telephone.
    "outlook_csv": (OUTLOOK.encode("cp1252"), ["Max Muster"]),
    "calendar": (SERIES.encode(), [*["Every Thursday"] * 3, "On Friday"]),
    "mail": (TAKEOUT.encode(), [None, None]),
    "calls_xml": (BACKUP, [None, None]),
}


@pytest.mark.req("CON-01", "CON-04", "CON-06")
async def test_each_file_does_what_was_foreseen_once_and_can_be_taken_back(
    hub: Running, admin: Any, ada: User
) -> None:
    before = await book_of(admin, ada.id)
    made: list[dict[str, Any]] = []
    for file_format, (data, titles) in FILES.items():
        job = await bring_in(hub, admin, ada, "", data, dry_run=True)
        assert (job["format"], job["status"]) == (file_format, "ready")
        rows = await ada.client.get(f"/v1/imports/{job['id']}/rows", params={"status": "pending"})
        assert [row["title"] for row in rows.json()["items"]] == titles, file_format
        await ada.client.post(f"/v1/imports/{job['id']}/start")
        made.append(await move(hub, admin, str(job["id"])))
        assert made[-1]["items_created"] == len(titles)
    book = await book_of(admin, ada.id)

    for _ in range(2):
        for data, _titles in FILES.values():
            assert (await bring_in(hub, admin, ada, "", data))["items_created"] == 0
    assert await book_of(admin, ada.id) == book

    for job in reversed(made):
        await ada.client.post(f"/v1/imports/{job['id']}/undo")
        undone = await move(hub, admin, str(job["id"]))
        assert (undone["items_undone"], undone["items_kept"]) == (job["items_created"], 0)
    assert await book_of(admin, ada.id) == before
