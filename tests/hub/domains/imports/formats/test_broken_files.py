"""A corpus of broken files crashes nothing, and takes no longer than whole ones."""

import time
import tracemalloc
from itertools import islice

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DomainError
from hub.domains.contacts.schemas import NewContact
from hub.domains.import_reading.service import ENTRIES_MAX
from hub.domains.imports.formats import lines
from hub.domains.imports.formats.found import Entry, Format, FoundInteraction, Options
from hub.domains.imports.formats.readers import READERS

SAMPLES: dict[Format, bytes] = {
    "vcard": b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BC;J"
    b'\r\nitem1.TEL;TYPE="a,b":1\r\nBDAY:--1210\r\nNOTE:a\\,b\r\n c\r\nEND:VCARD\r\n',
    "google_csv": b'Name,First Name,E-mail 1 - Label,E-mail 1 - Value\n"A ""B""",A,* w,a@b.c\n',
    "linkedin_csv": b"Notes:\n\nFirst Name,Last Name,URL,Connected On\nA,B,https://x.y,1\n",
    "outlook_csv": b"First Name,Last Name,E-mail Address,Birthday\nA,B,a@b.c,1/2/1990\n",
    "csv": b"Name;Mail\nA;a@b.c\n",
    "phone_json": b'{"contacts":[{"name":"A","phones":[{"value":"1","label":null}]}]}',
    "calendar": b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=Europe/Berlin:20260701T1"
    b"20000\r\nDTEND:20260701T130000Z\r\nATTENDEE;CN=A:mailto:a@b.c\r\nEND:VEVENT\r\nEND:VCALENDAR",
    "mail": b"From a\nFrom: =?utf-8?q?J=C3=BC?= <a@b.c>\nTo: b@b.c, (c) c@b.c\nDate: Mon, 1 Jun"
    b" 2026 10:00:00 +0200\nSubject: =?x?b?Zm8=?=\n\nbody\n\nFrom b\n\n",
    "calls_xml": b"<?xml version='1.0'?><calls><call number='1' date='1' duration='1' type='1'/>"
    b"</calls>",
}
DATED = b"\nDate: Mon, 1 Jun 2026 10:00:00 +0200\n\n"
MAPPING = {"Name": "full_name", "Mail": "email"}


def read(file_format: Format, data: bytes) -> list[Entry]:
    """Return what there is, or nothing where the whole file is refused by name."""
    options = Options(MAPPING if file_format == "csv" else {})
    try:
        return list(islice(READERS[file_format](data, options).entries, ENTRIES_MAX))
    except DomainError as error:
        if not error.code.startswith("import."):
            raise
        return []


@pytest.mark.parametrize("file_format", SAMPLES)
def test_samples_are_whole(file_format: Format) -> None:
    assert read(file_format, SAMPLES[file_format])[0].found is not None


@pytest.mark.req("CON-06")
@pytest.mark.parametrize("file_format", SAMPLES)
@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=8)), max_size=6)
)
def test_whatever_is_changed_in_a_file_it_is_read_or_refused(
    file_format: Format, cuts: list[tuple[float, int, bytes]]
) -> None:
    data = SAMPLES[file_format]
    for place, gone, put in cuts:
        at = int(place * len(data))
        data = data[:at] + put + data[at + gone :]
    for entry in read(file_format, data):
        if entry.found is None:
            assert entry.problems
        else:
            assert_storable(entry.found)


@pytest.mark.req("CON-06")
@pytest.mark.parametrize("file_format", SAMPLES)
def test_file_that_is_cut_anywhere_is_read_as_far_as_it_goes(file_format: Format) -> None:
    data = SAMPLES[file_format]
    for end in range(len(data)):
        for entry in read(file_format, data[:end]):
            assert entry.found is not None or entry.problems


def assert_storable(found: NewContact | FoundInteraction) -> None:
    """Fail for what a row cannot hold until it is brought in, or the database not at all."""
    text = msgspec.json.encode(found)
    assert msgspec.json.decode(text, type=type(found)) == found
    assert b"\\u0000" not in text


@pytest.mark.parametrize(
    "value", [b"\xff\x00\x80", b"=?utf-8?b?/w==?=", b"=?utf-8?q?=ED=A0=80=00?="]
)
def test_what_is_no_text_is_not_taken_for_some(value: bytes) -> None:
    mail = b"From: %s <a@b.c>\nTo: %s@b.c\nSubject: %s\nMessage-ID: %s" % ((value,) * 4) + DATED
    card = b"BEGIN:VCARD\nFN:%s\nTEL;TYPE=%s:%s\nNOTE:%s\nEND:VCARD\n" % ((value,) * 4)
    for entry in (*read("mail", mail), *read("vcard", card)):
        assert entry.found is not None
        assert_storable(entry.found)


def test_a_clock_that_was_never_set_tells_no_time() -> None:
    mail = SAMPLES["mail"].replace(b"2026", b"1969")
    meeting = SAMPLES["calendar"].replace(b"20260701T120000", b"00010101T000000")
    call = SAMPLES["calls_xml"].replace(b"date='1'", b"date='-62135596800000'")
    files: tuple[tuple[Format, bytes], ...] = (
        ("mail", mail),
        ("calendar", meeting),
        ("calls_xml", call),
    )
    for file_format, data in files:
        assert read(file_format, data)[0].problems[0].code == "date_invalid"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "cp1252", "utf-16-le"])
@pytest.mark.parametrize("file_format", SAMPLES)
def test_other_encodings_are_read_or_refused(file_format: Format, encoding: str) -> None:
    read(file_format, SAMPLES[file_format].decode().encode(encoding))


@pytest.mark.parametrize("file_format", ["vcard", "calendar", "phone_json", "google_csv"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_encodings_are_read_and_named(file_format: Format, encoding: str) -> None:
    text = SAMPLES[file_format].decode()
    reading = READERS[file_format](("\ufeff" + text).encode(encoding), Options())
    assert list(reading.entries) == read(file_format, text.encode())
    assert reading.encoding == encoding


@pytest.mark.parametrize(
    ("file_format", "data"),
    [
        # Thirty of these commas take vobject's pattern minutes.
        ("vcard", b"BEGIN:VCARD\nTEL;TYPE=x" + b"," * 60_000 + b'"\nEND:VCARD\n'),
        ("vcard", b"BEGIN:VCARD\nN:" + b";" * 500_000 + b"\nEND:VCARD\n"),
        ("vcard", b"BEGIN:VCARD\n" * 50_000),
        ("vcard", b"BEGIN:VCARD\nNOTE;QUOTED-PRINTABLE:" + b"=\n" * 300_000 + b"END:VCARD\n"),
        ("calendar", b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\n" * 50_000),
        ("mail", b"From \n" * 100_000),
        ("mail", b"From a\nTo: " + b"(" * 60_000 + DATED),
        ("mail", b"From a\nTo: " + b"a@b.c," * 40_000 + DATED),
        ("mail", b"From a\nTo: a@b.c\nSubject: " + b"=?u?q?a?= " * 20_000 + DATED),
        ("google_csv", b'Name,E-mail 1 - Value\n"' + b"x,\n" * 60_000),
        ("google_csv", b"Name,E-mail 1 - Value\n" + b'"\n",' * 100_000),
        ("phone_json", b"[" * 200_000),
        ("phone_json", b'["' + b'\\"' * 500_000),
        ("phone_json", b"[" + b"0," * 500_000),
        ("phone_json", b'{"contacts":[' + b"[" * 100_000),
        ("calls_xml", b"<calls>" + b"<x>" * 200_000),
        ("calls_xml", b"<calls><call number='" + b"1" * 8_000_000 + b"'/></calls>"),
        ("calls_xml", b"<calls><call date='" + b"9" * 500_000 + b"' number='1' type='1'/></calls>"),
    ],
)
def test_time_grows_with_the_file_and_not_faster(file_format: Format, data: bytes) -> None:
    worked_before_seconds = time.process_time()
    read(file_format, data)
    # Some 0.3 s; what grows with the square of these takes minutes.
    assert time.process_time() - worked_before_seconds < 10


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file_format", "head", "unit", "tail"),
    [
        ("vcard", b"BEGIN:VCARD\nFN:A\n", b"TEL:1\n", b"END:VCARD\n"),
        ("calendar", b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", b"ATTENDEE:mailto:a@b\n", b"END:VEVENT"),
        ("google_csv", b"Name,E-mail 1 - Value\n", b'"ab\n",', b""),
        ("phone_json", b"[[", b"0,", b"0]]"),
        ("calls_xml", b"<calls><mms>", b"<x/>", b"</mms></calls>"),
    ],
)
def test_what_is_held_of_a_file_does_not_grow_with_one_entry(
    file_format: Format, head: bytes, unit: bytes, tail: bytes
) -> None:
    data = head + unit * (8_000_000 // len(unit)) + tail
    tracemalloc.start()
    try:
        read(file_format, data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The file and its text, four bytes a character; lists of all that is in it are twice that.
    assert most < 12 * len(data)


def test_an_entry_without_end_is_given_up() -> None:
    endless: tuple[tuple[Format, bytes, str], ...] = (
        ("vcard", b"BEGIN:VCARD\nFN:A\n" + b"TEL:1\n" * 10_001 + b"END:VCARD\n", "too_many"),
        (
            "calendar",
            b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + b"ATTENDEE:a\n" * 10_001 + b"END:VEVENT",
            "too_many",
        ),
        ("phone_json", b"[[" + b"0," * 530_000 + b"0]]", "too_long"),
        ("google_csv", b"Name,E-mail 1 - Value\n" + b'"a\n",' * 60_000, "unreadable"),
    )
    for file_format, data, code in endless:
        assert [problem.code for problem in read(file_format, data)[0].problems] == [code]


@pytest.mark.parametrize(
    ("file_format", "data", "expected"),
    [
        ("vcard", b"BEGIN:VCARD\rFN:A\rEND:VCARD\r\nBEGIN:VCARD\nFN:B\r\nEND:VCARD\n", "AB"),
        (
            "vcard",
            b"BEGIN:VCARD\nFN:A\nEND:VCARD\nBEGIN:VCARD\nFN:half\nBEGIN:VCARD\nFN:C\nEND:VCARD\n",
            "A?C",
        ),
        (
            "vcard",
            b"BEGIN:VCARD\nFN;QUOTED-PRINTABLE:B\0=\n=C3=A9=\r\n!\nEND:VCARD\n",
            ["B é!"],
        ),
        ("vcard", "BEGIN:VCARD\r\nFN:Zoë\r\nEND:VCARD\r\n".encode("utf-16"), ["Zoë"]),
        (
            "vcard",
            b"BEGIN:VCARD\nFN:Zo\xeb\nEND:VCARD\nBEGIN:VCARD\nFN:Zo\xc3\xab\nEND:VCARD\n",
            ["Zoë", "Zoë"],
        ),
        ("phone_json", b'[{"name":"A"},{"name":3},{},{"name":"D"},{"na', "A??D?"),
        ("phone_json", b'[{"name":"A"}] []', "A?"),
        (
            "google_csv",
            b"Name,E-mail 1 - Value\nA,a@b.c\n" + b'"' + b"x" * 140_000 + b'"\nC,c@b.c\n',
            "A?C",
        ),
    ],
)
def test_each_entry_is_for_itself(
    file_format: Format, data: bytes, expected: str | list[str]
) -> None:
    names = [
        entry.found.full_name if isinstance(entry.found, NewContact) else "?"
        for entry in read(file_format, data)
    ]
    assert names == list(expected)


@given(st.binary(max_size=200))
def test_any_line_is_a_line_or_none(raw: bytes) -> None:
    found = lines.parse(raw)
    assert found is None or found.name


@given(st.text(max_size=50))
def test_components_come_back(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(";", "\\;")
    assert lines.components(f"{escaped};b") == [value.strip(), "b"]
