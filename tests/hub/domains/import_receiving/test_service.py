"""Of a large file only what is kept is held, and whoever sends another one hears why."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest

from core.errors import DomainError
from hub.domains.import_receiving import service
from hub.domains.imports.formats.found import Format

MAIL = b"From x Mon Jun  1 10:00:00 2026\nFrom: a@example.com\nSubject: hi\n\n"
PIECE = (b"QUJD" * 19 + b"\n") * 850


class Sent:
    """Pieces of a file, and how many of them were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            self.taken += 1
            return piece
        raise StopAsyncIteration


@pytest.mark.req("CON-06")
@pytest.mark.parametrize("megabytes", [20, pytest.param(200, marks=pytest.mark.soak)])
async def test_mailbox_takes_no_more_room_than_its_heads(megabytes: int) -> None:
    count = megabytes * 1_000_000 // len(PIECE)
    tracemalloc.start()
    try:
        found = await service.receive(Sent(MAIL + PIECE for _ in range(count)), None, {})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.format == "mail"
    assert found.data.count(b"Subject: hi") == count
    assert found.file_bytes == count * len(MAIL + PIECE)
    assert most < 20 * len(PIECE) + 4 * len(found.data)


async def test_what_stands_for_a_file_is_made_of_all_of_it() -> None:
    found = await service.receive(Sent([MAIL, b"one", b"two"]), "mail", {})
    assert found.digest == hashlib.sha256(MAIL + b"onetwo").digest()
    assert (found.data, found.file_bytes) == (MAIL, len(MAIL) + 6)


@pytest.mark.parametrize(
    ("said", "mapping", "head", "code"),
    [
        ("mail", {}, b"BEGIN:VCARD\nFN:A\n", "import.not_this_format"),
        (None, {}, b"who knows?\n", "import.not_this_format"),
        (None, {}, b"PK\x03\x04", "import.not_this_format"),
        ("vcard", {"a": "email"}, b"BEGIN:VCARD\nFN:A\n", "import.mapping_invalid"),
        ("csv", {}, b"a,b\n", "import.mapping_invalid"),
        ("vcard", {}, b"BEGIN:VCARD\nNOTE:" + b"x" * 17_000_000, "request.too_large"),
    ],
)
async def test_who_is_refused_has_sent_all_and_hears_why(
    said: Format | None, mapping: dict[str, str], head: bytes, code: str
) -> None:
    sent = Sent([head, *[b"\n" * 70_000] * 4])
    with pytest.raises(DomainError) as caught:
        await service.receive(sent, said, mapping)
    assert caught.value.code == code
    assert sent.taken == 5


async def test_columns_say_that_a_file_is_a_spreadsheet() -> None:
    found = await service.receive(Sent([b"Mail\na@b.c\n"]), None, {"Mail": "email"})
    assert (found.format, found.data) == ("csv", b"Mail\na@b.c\n")
