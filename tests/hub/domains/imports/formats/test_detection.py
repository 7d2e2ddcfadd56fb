"""Files are known by how they begin, in whatever encoding, and from half of their head on."""

import pytest

from hub.domains.imports.formats.detection import HEAD_BYTES, detect
from hub.domains.imports.formats.found import Format
from tests.hub.domains.imports.formats.test_broken_files import SAMPLES
from tests.hub.domains.imports.formats.test_mail import TAKEOUT

CARD = b"BEGIN:VCARD\nFN:A\nEND:VCARD\n"


@pytest.mark.parametrize("file_format", sorted(SAMPLES.keys() - {"csv"}))
def test_each_format_is_known(file_format: Format) -> None:
    sample = SAMPLES[file_format]
    assert detect(sample) == file_format
    assert detect(b"\xef\xbb\xbf" + sample) == file_format or file_format == "mail"
    if file_format not in {"mail", "calls_xml"}:
        assert detect(sample.decode().encode("utf-16")) == file_format


def test_what_is_within_another_file_does_not_count() -> None:
    assert detect(TAKEOUT.encode() + CARD) == "mail"
    assert detect(b"Received: by x\n\tid 1\nSubject: card\n\n" + CARD) == "mail"


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"PK\x03\x04", b"a,b\n1,2\n", b"<html>", b"{}", b"\0" * 99, b"A: b\n"]
)
def test_what_nobody_reads_is_nothing(data: bytes) -> None:
    assert detect(data) is None


def test_the_head_is_enough() -> None:
    assert detect((b'{"contacts":[' + b'{"name":"A"},' * 9000)[:HEAD_BYTES]) == "phone_json"
