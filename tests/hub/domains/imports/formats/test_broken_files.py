"""A corpus of broken files crashes nothing, and takes no longer than whole ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from core.errors import DomainError
from hub.domains.imports.formats import lines
from hub.domains.imports.formats.found import Entry, Format, Options
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
MAPPING = {"Name": "full_name", "Mail": "email"}


def read(file_format: Format, data: bytes) -> list[Entry]:
    """Return what there is, or nothing where the whole file is refused by name."""
    options = Options(MAPPING if file_format == "csv" else {})
    try:
        return list(READERS[file_format](data, options).entries)
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
        assert entry.found is not None or entry.problems


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "cp1252", "utf-16-le"])
@pytest.mark.parametrize("file_format", SAMPLES)
def test_other_encodings_are_read_or_refused(file_format: Format, encoding: str) -> None:
    read(file_format, SAMPLES[file_format].decode().encode(encoding))


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
        ("mail", b"From a\nTo: " + b"(" * 60_000 + b"\nDate: 1\n\n"),
        ("google_csv", b'Name,E-mail 1 - Value\n"' + b"x,\n" * 60_000),
        ("phone_json", b"[" * 200_000),
        ("phone_json", b'{"contacts":[' + b"[" * 100_000),
        ("calls_xml", b"<calls>" + b"<x>" * 200_000),
        ("calls_xml", b"<calls><call date='" + b"9" * 500_000 + b"' number='1' type='1'/></calls>"),
    ],
)
def test_time_grows_with_the_file_and_not_faster(file_format: Format, data: bytes) -> None:
    started_at = clock.monotonic_seconds()
    read(file_format, data)
    # Some 0.2 s; what grows with the square of these takes minutes.
    assert clock.monotonic_seconds() - started_at < 10


@given(st.binary(max_size=200))
def test_any_line_is_a_line_or_none(raw: bytes) -> None:
    found = lines.parse(raw)
    assert found is None or found.name


@given(st.text(max_size=50))
def test_components_come_back(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(";", "\\;")
    assert lines.components(f"{escaped};b") == [value.strip(), "b"]
