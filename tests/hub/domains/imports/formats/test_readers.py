"""Readers take what address books, calendars, mailboxes and telephones really write."""

from typing import Any

import pytest

from core.errors import DomainError
from hub.domains.contacts.schemas import NewContact
from hub.domains.imports.formats.found import Format, FoundInteraction, Options, RowProblem
from hub.domains.imports.formats.readers import READERS
from tests.hub.domains.imports.formats.reading import methods, people, read, talks


def problems(file_format: Format, data: bytes) -> list[list[RowProblem]]:
    return [list(entry.problems) for entry in read(file_format, data).entries]


def card(*lines: str, version: str = "3.0", end: str = "\r\n") -> bytes:
    return end.join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", "")).encode()


@pytest.mark.req("CON-01")
def test_card_of_an_old_telephone_is_read_in_its_own_encoding() -> None:
    data = card(
        "N;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;J=FCrgen",
        "TEL;CELL;PREF:+49 170 1234567",
        "TEL;HOME:+49 30 1234",
        "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Gr=C3=BC=C3=9Fe=0D=0A=",
        "zweite Zeile",
        "PHOTO;JPEG;ENCODING=BASE64:",
        " /9j/4AAQSkZJRgABAQAAAQ",
        "",
        "AGENT:",
        "BEGIN:VCARD",
        "N:Somebody else",
        "END:VCARD",
        "TITLE:Chef",
        version="2.1",
    )
    [found] = people("vcard", data)
    assert (found.full_name, found.last_name, found.job_title) == (
        "Jürgen Müller",
        "Müller",
        "Chef",
    )
    assert found.notes == "Grüße\nzweite Zeile"
    assert methods(found) == [
        ("phone", "+49 170 1234567", "cell"),
        ("phone", "+49 30 1234", "home"),
    ]


@pytest.mark.req("CON-01")
def test_card_of_version_4_keeps_labels_order_and_birthdays_without_a_year() -> None:
    data = card(
        "FN:Ada Love",
        " lace",
        "BDAY:--1210",
        "EMAIL;TYPE=home:second@example.com",
        'item1.EMAIL;TYPE="work,internet";PREF=1:ada@example.com',
        "item2.TEL;VALUE=uri:tel:+1-202-555-0101",
        "URL:https://www.linkedin.com/in/ada",
        "CATEGORIES:friends,a\\,b",
        "ADR:;;12 St James;London;;;UK",
        "X-UNKNOWN:ignored",
        version="4.0",
        end="\n",
    )
    [found] = people("vcard", data)
    assert (found.full_name, found.birthday, found.location) == (
        "Ada Lovelace",
        "--12-10",
        "London, UK",
    )
    assert found.tags == ["friends", "a,b"]
    assert methods(found)[0] == ("email", "ada@example.com", "work")
    assert ("linkedin", "https://www.linkedin.com/in/ada", None) in methods(found)
    assert ("phone", "+1-202-555-0101", None) in methods(found)


@pytest.mark.req("CON-06")
def test_one_broken_card_leaves_the_others() -> None:
    good = card("FN:Ada")
    half = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Half\r\n"
    garbage = card("FN:Grace", "\x00\x01 no line at all", "BDAY:soon")
    nameless = card("NOTE:who?")

    found = list(read("vcard", good + half + garbage + nameless + half).entries)

    assert [entry.found is not None for entry in found] == [True, False, True, False, False]
    assert found[1].problems == (RowProblem("unfinished"),)
    assert set(found[2].problems) == {
        RowProblem("unreadable", "line"),
        RowProblem("date_invalid", "birthday"),
    }
    assert found[3].problems == (RowProblem("no_name"),)


@pytest.mark.parametrize(
    ("written", "birthday"),
    [
        ("19901210", "1990-12-10"),
        ("1990-12-10T00:00:00Z", "1990-12-10"),
        ("--12-10", "--12-10"),
        ("1604-12-10", "--12-10"),
        ("12/10/1990", "1990-12-10"),
        ("0/0/00", None),
        ("1990-02-30", None),
    ],
)
def test_birthdays_are_read_as_they_are_written(written: str, birthday: str | None) -> None:
    [found] = people("vcard", card("FN:Ada", f"BDAY:{written}"))
    assert found.birthday == birthday


def test_whoever_has_only_a_number_is_kept_under_it() -> None:
    for name in ("NOTE:no name", "FN:\u200b\u3164", "FN: "):
        [found] = people("vcard", card(name, "TEL:+1 202 555 0101"))
        assert found.full_name == "+1 202 555 0101"


@pytest.mark.req("CON-01")
def test_google_csv_of_today_and_of_before_is_read_by_its_headers() -> None:
    old = (
        "Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,Group Membership,Hobby\n"
        "Ada L,Ada,L,* Work,a@example.com ::: b@example.com,* myContacts ::: Friends,chess\n"
    )
    new = (
        "First Name,Last Name,Phone 1 - Label,Phone 1 - Value,Labels,Birthday,Notes\n"
        'Ada,L,Mobile,+1 202 555 0101,Friends,1990-12-10,"two\nlines"\n'
    )
    reading = read("google_csv", old.encode())
    [entry] = reading.entries
    assert isinstance(entry.found, NewContact)
    assert methods(entry.found) == [
        ("email", "a@example.com", "Work"),
        ("email", "b@example.com", "Work"),
    ]
    assert entry.found.tags == ["Friends"]
    assert (reading.remarks, reading.ignored_columns) == ({"columns_ignored"}, ("Hobby",))
    [found] = people("google_csv", b"\xef\xbb\xbf" + new.encode())
    assert (found.full_name, found.birthday, found.notes) == ("Ada L", "1990-12-10", "two\nlines")


@pytest.mark.req("CON-01")
def test_linkedin_and_outlook_csv_are_read() -> None:
    linkedin = (
        b'Notes:\n"When exporting your connection data, ..."\n\n'
        b"First Name,Last Name,URL,Email Address,Company,Position,Connected On\n"
        b"Ada,L,https://www.linkedin.com/in/ada,,ACME,CEO,10 Mar 2023\n"
    )
    outlook = (
        "First Name;Last Name;E-mail Address;Mobile Phone;Birthday;Company\n"
        "Jürgen;Müller;j@example.com;0170 1234567;12/31/1990;ACME\n"
    )
    [ada] = people("linkedin_csv", linkedin)
    assert (ada.source, ada.company, ada.linkedin_url) == (
        "linkedin",
        "ACME",
        "https://www.linkedin.com/in/ada",
    )
    reading = read("outlook_csv", outlook.encode("cp1252"))
    [entry] = reading.entries
    assert isinstance(entry.found, NewContact)
    assert (entry.found.full_name, entry.found.birthday) == ("Jürgen Müller", "1990-12-31")
    assert (reading.encoding, reading.remarks) == ("windows-1252", {"encoding_guessed"})


@pytest.mark.req("CON-06")
def test_headers_are_mapped_and_never_guessed() -> None:
    data = "Naam\tMail\tSchoenmaat\nAda\tada@example.com\t38\n".encode("utf-16")
    reading = read("csv", data, Naam="full_name", mail="email")
    [entry] = reading.entries
    assert isinstance(entry.found, NewContact)
    assert methods(entry.found) == [("email", "ada@example.com", None)]
    assert (reading.encoding, reading.ignored_columns) == ("utf-16-le", ("Schoenmaat",))
    for mapping in ({"Naam": "shoe_size"}, {}):
        with pytest.raises(DomainError, match="Mapping"):
            read("csv", data, **mapping)
    with pytest.raises(DomainError, match="Columns"):
        read("csv", data, Name="full_name")


@pytest.mark.req("CON-01")
def test_contacts_of_an_app_are_read_one_by_one() -> None:
    data = (
        b'{"contacts": [{"name": "Ada", "phones": [{"value": "+12025550101", "label": "mobile"}],'
        b' "birthday": "--12-10", "thumbnail": null}, {"name": 3}, {"name": "A", "name": "B"}, {}]}'
    )
    [found] = people("phone_json", data)
    assert (found.source, found.birthday) == ("phone", "--12-10")
    assert problems("phone_json", data)[1:] == [
        [RowProblem("unreadable")],
        [RowProblem("unreadable")],
        [RowProblem("no_name")],
    ]


@pytest.mark.req("CON-01")
def test_meetings_have_their_time_and_everybody_who_was_there() -> None:
    data = b"""BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+1400
TZOFFSETTO:+1400
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1
SUMMARY:Lunch\\, again
DTSTART;TZID=Europe/Berlin:20260701T120000
DURATION:PT1H30M
RRULE:FREQ=SECONDLY
ORGANIZER:mailto:grace@example.com
ATTENDEE;CN="Ada: L";ROLE=REQ-PARTICIPANT:MAILTO:ada@example.com
BEGIN:VALARM
DURATION:PT5M
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=Customized Zone:20260701T120000
ATTENDEE:mailto:ada@example.com
END:VEVENT
BEGIN:VEVENT
DTSTART:20260701T120000Z
SUMMARY:Alone
END:VEVENT
BEGIN:VEVENT
DTSTART:20261332T120000Z
END:VEVENT
END:VCALENDAR"""
    reading = read("calendar", data)
    lunch, elsewhere, alone, never = list(reading.entries)
    assert isinstance(lunch.found, FoundInteraction)
    assert (lunch.found.subject, lunch.found.duration_seconds) == ("Lunch, again", 5400)
    assert lunch.found.occurred_at.isoformat() == "2026-07-01T10:00:00+00:00"
    assert [(who.role, who.address) for who in lunch.found.participants] == [
        ("organizer", "grace@example.com"),
        ("attendee", "ada@example.com"),
    ]
    assert elsewhere.found is not None
    assert alone.problems == (RowProblem("no_participant"),)
    assert never.problems == (RowProblem("date_invalid", "DTSTART"),)
    assert reading.remarks == {"series_once", "time_zone_unknown"}


@pytest.mark.req("CON-01")
def test_heads_of_mail_are_read_and_their_words_are_not() -> None:
    data = (
        b"From a@example.com Mon Jun  1 10:00:00 2026\r\n"
        b"From: =?utf-8?q?J=C3=BC?= <a@example.com>\r\nTo: b@example.com,\r\n c@example.com\r\n"
        b"Subject: =?iso-8859-1?q?M=FC?= hi\r\nDate: Mon, 1 Jun 2026 10:00:00 +0200\r\n"
        b"Message-ID: <1@example.com>\r\n\r\nThe secret is in the body.\r\n\r\n"
        b"From b\r\nFrom: b@example.com\r\nList-Id: <all>\r\nDate: Mon, 1 Jun 2026 10:00:00 Z\r\n"
        b"\r\n\r\nFrom c\r\nFrom: c@example.com\r\n\r\n"
    )
    first, bulk, dateless = list(read("mail", data).entries)
    assert isinstance(first.found, FoundInteraction)
    assert (first.found.subject, first.found.native_id) == ("Mü hi", "<1@example.com>")
    assert [(who.role, who.address) for who in first.found.participants] == [
        ("from", "a@example.com"),
        ("to", "b@example.com"),
        ("to", "c@example.com"),
    ]
    assert "secret" not in repr(first)
    assert bulk.problems == (RowProblem("no_participant", "List-Id"),)
    assert dateless.problems == (RowProblem("date_invalid", "Date"),)
    [alone] = talks("mail", data.partition(b"\n")[2].partition(b"\r\n\r\n")[0])
    assert alone.native_id == first.found.native_id


@pytest.mark.req("CON-01")
def test_messages_and_calls_of_a_telephone_are_read_without_their_words() -> None:
    data = (
        b"<?xml version='1.0' encoding='UTF-8'?><?xml-stylesheet href='sms.xsl'?>"
        b"<smses count='3'><sms address='+12025550101' date='1700000000000' type='1' body='psst'/>"
        b"<sms address='null' date='1' type='1'/><sms address='1' date='x' type='2'/>"
        b"<mms address='+12025550101' msg_box='2' date='1700000001000'><parts><part text='psst'/>"
        b"</parts></mms></smses>"
    )
    found = talks("calls_xml", data)
    assert [(item.kind, item.direction) for item in found] == [
        ("sms", "inbound"),
        ("sms", "outbound"),
    ]
    assert "psst" not in repr(found)
    assert problems("calls_xml", data[:-10])[-1] == [RowProblem("unfinished")]
    [call] = talks(
        "calls_xml", b"<calls><call number='1' duration='61' date='1' type='2'/></calls>"
    )
    assert (call.kind, call.duration_seconds) == ("call", 61)


def test_too_much_of_a_field_is_left_out_by_name() -> None:
    data = card("FN:Ada", f"ORG:{'x' * 201}", *(f"EMAIL:{n}@example.com" for n in range(60)))
    [entry] = read("vcard", data).entries
    assert isinstance(entry.found, NewContact)
    assert (entry.found.company, len(entry.found.methods)) == (None, 50)
    assert set(entry.problems) == {
        RowProblem("too_long", "company"),
        RowProblem("too_many", "methods"),
    }


@pytest.mark.parametrize(
    "bomb",
    [
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><smses>&b;</smses>",
        b"<!DOCTYPE smses SYSTEM 'file:///etc/passwd'><smses/>",
        b"<smses>" + b"<sms>" * 50 + b"</sms>" * 50 + b"</smses>",
    ],
)
def test_bombs_of_xml_are_refused(bomb: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        list(read("calls_xml", bomb).entries)
    assert caught.value.code == "import.unsafe"


def given_mapping(file_format: Format) -> dict[str, Any]:
    return {"Name": "full_name"} if file_format == "csv" else {}


@pytest.mark.req("CON-06")
@pytest.mark.parametrize("file_format", READERS)
@pytest.mark.parametrize(
    "data",
    [b"PK\x03\x04", b"\x1f\x8b", b"%PDF-1.7", b"\x89PNG\r\n", b"", b"\n\n", b"hello", b"\0" * 64],
)
def test_file_that_is_something_else_is_refused_by_name(file_format: Format, data: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        list(READERS[file_format](data, Options(given_mapping(file_format))).entries)
    assert caught.value.code in {
        "import.not_this_format",
        "import.columns_unknown",
        "import.empty",
    }
