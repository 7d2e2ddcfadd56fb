"""Mailboxes as Google Takeout and Thunderbird write them."""

import pytest

from hub.domains.imports.formats.found import RowProblem
from tests.hub.domains.imports.formats.reading import read, talks

HEAD = "From: {0}@example.com\r\nDate: Mon, 1 Jun 2026 10:00:00 +0200\r\n"
TAKEOUT = (
    "From 1790000000000000001@xxx Mon Jun 01 08:00:00 +0000 2026\r\n"
    "X-GM-THRID: 1790000000000000001\r\nX-Gmail-Labels: Inbox,Important\r\n"
    + HEAD.format("ada")
    + "\r\n>From the beginning, quoted.\r\nFrom now on, not quoted.\r\n\r\nFrom here:\r\nso\r\n\r\n"
    "From 1790000000000000002@xxx Mon Jun 01 08:00:00 +0000 2026\r\n"
    "X-Gmail-Labels: Drafts\r\n" + HEAD.format("ada") + "\r\n\r\n"
    "From - Mon Jun 01 08:00:00 2026\r\n" + HEAD.format("grace") + "\r\n\r\n"
)


@pytest.mark.req("CON-01")
def test_lines_of_a_body_begin_no_message() -> None:
    found = [item.participants[0].address for item in talks("mail", TAKEOUT.encode())]
    assert found == ["ada@example.com", "grace@example.com"]


def test_drafts_and_spam_are_no_talk() -> None:
    for label in ("Drafts", "Spam,Unread"):
        data = TAKEOUT.replace("Drafts", label).encode()
        [_, entry, _] = read("mail", data).entries
        assert entry.problems == (RowProblem("no_participant", "X-Gmail-Labels"),)
