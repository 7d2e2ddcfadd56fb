"""Keyset pages and their cursors."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError
from hub.http.page import decode_cursor, encode_cursor, paginate

times = st.datetimes(timezones=st.just(UTC))


@given(times, st.uuids())
def test_a_cursor_is_read_back_as_it_was_made(at: datetime, identity: UUID):
    cursor = encode_cursor("talks", (at, identity))
    assert decode_cursor(cursor, "talks", tuple[datetime, UUID]) == (at, identity)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_other_text_is_refused(text: str):
    with pytest.raises(DomainError) as caught:
        decode_cursor(text, "talks", tuple[datetime, UUID])
    assert caught.value.code == "request.cursor_invalid"


def test_a_cursor_of_another_list_is_refused():
    cursor = encode_cursor("rings", (UUID(int=1),))
    with pytest.raises(DomainError) as caught:
        decode_cursor(cursor, "taps", tuple[UUID])
    assert caught.value.code == "request.cursor_invalid"


def test_no_cursor_is_the_start():
    assert decode_cursor(None, "rings", tuple[UUID]) is None


@pytest.mark.req("API-02")
@given(st.integers(0, 30), st.integers(1, 12))
def test_pages_give_every_item_once_in_order(count: int, limit: int):
    items = list(range(count))
    seen: list[int] = []
    after = -1
    while True:
        rows = [item for item in items if item > after][: limit + 1]
        page = paginate(rows, limit, "numbers", lambda item: (item,))
        seen += page.items
        assert len(page.items) <= limit
        assert page.has_more == (page.next_cursor is not None)
        position = decode_cursor(page.next_cursor, "numbers", tuple[int])
        if position is None:
            break
        (after,) = position
    assert seen == items
