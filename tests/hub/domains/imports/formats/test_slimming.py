"""Whatever a file is cut into, the same of it stays, and readers find the same in it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domains.imports.formats.found import Format
from hub.domains.imports.formats.slimming import slimmer_of
from tests.hub.domains.imports.formats.reading import read
from tests.hub.domains.imports.formats.test_calendar import SERIES
from tests.hub.domains.imports.formats.test_calls import BACKUP
from tests.hub.domains.imports.formats.test_mail import TAKEOUT
from tests.hub.domains.imports.formats.test_vcard import IPHONE

FILES: dict[Format, bytes] = {
    "mail": TAKEOUT.encode(),
    "vcard": IPHONE.encode(),
    "calls_xml": BACKUP.replace(b'text="Wow', b'data="/9j/4AAQ" text="Wow'),
    "calendar": SERIES.encode().replace(
        b"SUMMARY:On", b"ATTACH;ENCODING=BASE64;VALUE=BINARY:/9j/4AAQ\n SkZJRg==\nSUMMARY:On"
    ),
    "csv": b"Name\nAda\n",
}
GONE: dict[Format, tuple[bytes, ...]] = {
    "mail": (b"beginning", b"from now on"),
    "vcard": (b"PHOTO", b"/9j/", b"EBAQ"),
    "calls_xml": (b"/9j/",),
    "calendar": (b"ATTACH", b"/9j/", b"SkZJRg"),
    "csv": (),
}


def slimmed(file_format: Format, pieces: list[bytes]) -> bytes:
    slimmer = slimmer_of(file_format, b"".join(pieces)[:512])
    return b"".join([*(slimmer.feed(piece) for piece in pieces), slimmer.end()])


@pytest.mark.parametrize("file_format", FILES)
def test_words_and_pictures_go_and_readers_miss_nothing(file_format: Format) -> None:
    data = FILES[file_format]
    kept = slimmed(file_format, [data])
    assert not [word for word in GONE[file_format] if word in kept]
    mapping = {"Name": "full_name"} if file_format == "csv" else {}
    before, after = [read(file_format, file, **mapping) for file in (data, kept)]
    assert list(before.entries) == list(after.entries)


@pytest.mark.parametrize("file_format", FILES)
@given(places=st.lists(st.floats(0, 1), max_size=8))
def test_it_does_not_matter_where_a_file_is_cut(file_format: Format, places: list[float]) -> None:
    data = FILES[file_format]
    cuts = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(cuts)]
    assert slimmed(file_format, pieces) == slimmed(file_format, [data])


@pytest.mark.parametrize("file_format", FILES)
def test_wide_encodings_are_left_as_they_are(file_format: Format) -> None:
    data = FILES[file_format].decode().encode("utf-16")
    assert slimmed(file_format, [data[:99], data[99:]]) == data


@given(st.binary(max_size=300), st.integers(0, 300))
def test_garbage_is_slimmed_like_a_file(data: bytes, cut: int) -> None:
    for file_format in FILES:
        assert slimmed(file_format, [data[:cut], data[cut:]]) == slimmed(file_format, [data])
