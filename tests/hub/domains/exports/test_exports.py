"""What is taken out can be brought in again, and that it was taken out is known."""

import csv
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from hub.domains.exports import rules, service
from hub.domains.exports.schemas import Address, Card
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.formats.reading import people
from tests.hub.domains.imports.moving import book_of, bring_in
from tests.hub.domains.imports.test_many import cards

CONTACT = {
    "full_name": "Grace Brewster, Hopper; née Müller",
    "first_name": "Grace",
    "last_name": "Hopper",
    "company": "U.S. Navy, \\ Reserve",
    "job_title": "Rear Admiral",
    "location": "Arlington",
    "notes": 'Nanoseconds:\nshe hands them out; "really", ' + "long " * 30 + "ü" * 60,
    "birthday": "--12-09",
    "tags": ["COBOL, too", "navy"],
    "methods": [
        {"kind": "email", "value": "second@example.com", "label": 'Old; "work"'},
        {"kind": "email", "value": "grace@example.com", "label": "work", "is_primary": True},
        {"kind": "phone", "value": "+1 202-555-0101", "label": "mobile"},
        {"kind": "linkedin", "value": "https://www.linkedin.com/in/grace"},
        {"kind": "twitter", "value": "https://x.com/grace"},
        {"kind": "url", "value": "https://example.com/a?b=c,d"},
    ],
}
READ_AS = {"vcf": "vcard", "csv": "google_csv", "json": "phone_json"}


async def shown(user: User) -> list[dict[str, Any]]:
    """Return a user's contacts as they tell them, without ids and times."""
    found: list[dict[str, Any]] = []
    for item in (await user.client.get("/v1/contacts")).json()["items"]:
        if item["full_name"] == user.full_name:
            continue
        contact = (await user.client.get(f"/v1/contacts/{item['id']}")).json()
        answer = (await user.client.get(f"/v1/contacts/{item['id']}/methods")).json()
        methods = answer["items"]
        found.append(
            {name: contact[name] for name in CONTACT if name != "methods"}
            | {
                "methods": sorted(
                    (m["kind"], m["value"], (m["label"] or "").replace('"', "'"), m["is_primary"])
                    for m in methods
                )
            }
        )
    return found


@pytest.mark.req("CON-06")
@pytest.mark.parametrize("file_format", READ_AS)
async def test_what_is_taken_out_is_the_same_when_it_is_brought_in(
    hub: Running, admin: Any, ada: User, grace: User, file_format: str
) -> None:
    assert (await ada.client.post("/v1/contacts", json=CONTACT)).status_code == 201

    file = await ada.client.get("/v1/contacts/export", params={"format": file_format})
    job = await bring_in(hub, admin, grace, READ_AS[file_format], file.content)

    assert job["items_created"] == 1
    assert job["items_failed"] == 0
    assert await shown(grace) == await shown(ada)
    assert all(len(line) <= 75 for line in file.content.split(b"\r\n")) or file_format != "vcf"
    assert (
        await admin.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'export' AND user_id = $1", ada.id
        )
        == 1
    )


@pytest.mark.req("CON-06")
async def test_own_export_brings_nothing_in(hub: Running, admin: Any, ada: User) -> None:
    nobody_s_address = {"full_name": "=1+1", "company": "@home", "birthday": "1980-02-29"}
    for contact in (CONTACT, nobody_s_address, {"full_name": "!?"}, {"full_name": "Bob  Ross"}):
        assert (await ada.client.post("/v1/contacts", json=contact)).status_code == 201
    twitter = {"kind": "twitter", "value": "@grace"}
    gone = {"full_name": "Gone", "methods": [twitter, {"kind": "phone", "value": "+12025550109"}]}
    contact_id = (await ada.client.post("/v1/contacts", json=gone)).json()["id"]
    assert (await ada.client.delete(f"/v1/contacts/{contact_id}")).status_code == 204
    before = await book_of(admin, ada.id)

    for file_format, read_as in (*READ_AS.items(), ("ics", "calendar")):
        file = await ada.client.get(
            "/v1/contacts/export", params={"format": file_format, "with_archived": True}
        )
        job = await bring_in(hub, admin, ada, read_as, file.content)
        assert (job["status"], job["items_failed"]) == ("completed", 0)
        rows = await ada.client.get(f"/v1/imports/{job['id']}/rows", params={"status": "created"})
        assert rows.json()["items"] == [], file_format
        assert job["items_total"] == (5 if file_format != "ics" else 2)

    assert await book_of(admin, ada.id) == before


@pytest.mark.req("CON-06")
async def test_file_is_written_page_by_page_and_is_one_s_own(
    hub: Running, admin: Any, ada: User, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bring_in(hub, admin, ada, "vcard", cards(7))
    await bring_in(hub, admin, grace, "vcard", b"BEGIN:VCARD\nFN:Hers\nEND:VCARD\n")

    async def taken(page: int) -> dict[str, str]:
        monkeypatch.setattr(service, "PAGE", page)
        asked = [
            await ada.client.get("/v1/contacts/export", params={"format": file_format})
            for file_format in (*READ_AS, "ics")
        ]
        return {str(file.request.url): file.text for file in asked}

    whole = await taken(500)
    assert await taken(2) == await taken(7) == whole
    for text in whole.values():
        assert text.count("Person ") in {7, 14}
        assert "Hers" not in text


async def test_birthdays_are_a_calendar(ada: User) -> None:
    await ada.client.post("/v1/contacts", json=CONTACT)

    file = await ada.client.get("/v1/contacts/export", params={"format": "ics"})

    assert file.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "DTSTART;VALUE=DATE:20001209\r\nRRULE:FREQ=YEARLY\r\n" in file.text
    assert file.text.endswith("END:VEVENT\r\nEND:VCALENDAR\r\n")


async def test_empty_address_book_is_an_empty_file(ada: User) -> None:
    for file_format, text in (("vcf", ""), ("json", '{"contacts": [\n\n]}\n')):
        file = await ada.client.get("/v1/contacts/export", params={"format": file_format})
        assert (file.status_code, file.text) == (200, text)


def test_what_somebody_is_called_makes_no_line_of_a_card() -> None:
    for end in ("\r", "\n", "\r\n"):
        card = rules.vcf([named(f"Ada{end}TEL:+12025550199")])
        assert [line for line in re.split("[\r\n]+", card) if line.startswith("TEL")] == []
        assert "FN:Ada\\nTEL:+12025550199\r\n" in card


def test_names_are_no_formulas_and_numbers_stay_numbers() -> None:
    for cell, written in (
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\n=1+1", "'\n=1+1"),
        ("-cmd", "'-cmd"),
        ("+49 170 (12) 34", "+49 170 (12) 34"),
    ):
        [row] = csv.reader(io.StringIO(rules.csv_rows([named(cell)], [0, 0, 0])))
        assert row[0] == written


LINE = re.compile(
    # RFC 6350, 3.3: contentline, without groups.
    r"[A-Z0-9-]+(?:;[A-Z0-9-]+=(?:[^\x00-\x08\x0a-\x1f\x7f\";:,]*|\"[^\x00-\x08\x0a-\x1f\x7f\"]*\"))*"
    r":[^\x00-\x08\x0a-\x1f\x7f]*"
)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80)
NAMES = WORDS.map(lambda text: " ".join(text.split())).filter(bool)


@pytest.mark.req("CON-06")
@given(NAMES, st.none() | NAMES, st.lists(NAMES, max_size=3, unique=True), NAMES)
def test_any_words_make_a_card_of_version_4_and_come_back(
    name: str, company: str | None, tags: list[str], label: str
) -> None:
    address = Address("email", "ada@example.com", label[:50], is_primary=True)
    shortened = [tag[:50] for tag in tags]
    card = structs.replace(named(name), company=company, tags=shortened, addresses=[address])

    text = rules.vcf([card])

    lines = text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert lines[:2] == ["BEGIN:VCARD", "VERSION:4.0"]
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    [found] = people("vcard", text.encode())
    assert (found.full_name, found.company) == (name, company)
    assert found.tags == list(dict.fromkeys(tag[:50].strip() for tag in tags))
    assert [method.value for method in found.methods] == ["ada@example.com"]


def named(name: str) -> Card:
    nothing: dict[str, Any] = dict.fromkeys(Card.__struct_fields__)
    given: dict[str, Any] = {"full_name": name, "tags": [], "addresses": []}
    return Card(**nothing | given)
