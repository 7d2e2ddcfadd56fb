"""What a subscriber missed: decided without I/O, and never partially."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.broker import History, Publication, StreamPosition
from hub.realtime.delivery.recovery import Merged, latest, merge, missed, page, within


def publications(*offsets: int) -> list[Publication]:
    return [Publication(b'{"data":%d}' % offset, offset) for offset in offsets]


def history(top: int, *offsets: int, epoch: str = "e") -> History:
    return History(publications(*offsets), StreamPosition(top, epoch))


def offsets(found: list[Publication] | None) -> list[int] | None:
    return None if found is None else [item.offset for item in found]


@pytest.mark.parametrize(
    ("since", "stream", "expected"),
    [
        pytest.param(StreamPosition(0, "e"), history(0), [], id="empty stream, nothing missed"),
        pytest.param(StreamPosition(3, "e"), history(3), [], id="at the top"),
        pytest.param(StreamPosition(1, "e"), history(3, 2, 3), [2, 3], id="two behind"),
        pytest.param(StreamPosition(0, "e"), history(2, 1, 2), [1, 2], id="from the beginning"),
        pytest.param(StreamPosition(0, ""), history(2, 1, 2), [1, 2], id="no epoch yet"),
        pytest.param(StreamPosition(1, "old"), history(3, 2, 3), None, id="another epoch"),
        pytest.param(StreamPosition(3, "old"), history(3), None, id="another epoch, same offset"),
        pytest.param(StreamPosition(1, "e"), history(5, 3, 4, 5), None, id="oldest are gone"),
        pytest.param(StreamPosition(1, "e"), history(3), None, id="all expired"),
        pytest.param(StreamPosition(9, "e"), history(3), None, id="beyond the top"),
        pytest.param(StreamPosition(1, "e"), history(4, 2, 4), None, id="hole in the middle"),
        pytest.param(StreamPosition(1, "e"), history(4, 2, 3), None, id="last one not read"),
        pytest.param(StreamPosition(0, "e"), history(4, 1, 2, 3, 4), None, id="over the limit"),
    ],
)
def test_what_was_missed_is_complete_or_unknown(
    since: StreamPosition, stream: History, expected: list[int] | None
):
    assert offsets(missed(since, stream, limit=3)) == expected


def test_live_publications_follow_those_of_history_without_doubles():
    merged = merge(StreamPosition(1, "e"), history(3, 2, 3), publications(2, 3, 4, 5), limit=10)
    assert merged is not None
    assert offsets(merged.publications) == [2, 3]
    assert offsets(merged.late) == [4, 5]
    assert merged.position == StreamPosition(5, "e")
    assert merged.recovered


def test_a_gap_between_history_and_live_is_not_papered_over():
    assert merge(None, history(3), publications(5), limit=10) is None
    assert merge(None, history(3), publications(4, 6), limit=10) is None


def test_a_fresh_subscriber_starts_at_the_top_and_gets_what_came_since():
    merged = merge(None, history(3), publications(3, 4), limit=10)
    assert merged is not None
    assert (merged.top.offset, merged.recovered, merged.publications) == (3, False, [])
    assert offsets(merged.late) == [4]


def test_an_unrecoverable_position_gets_the_top_and_no_publications():
    merged = merge(StreamPosition(1, "old"), history(3, 2, 3), [], limit=10)
    assert merged is not None
    assert (merged.top, merged.publications, merged.recovered) == (
        StreamPosition(3, "e"),
        [],
        False,
    )


@given(
    top=st.integers(0, 30),
    kept=st.integers(0, 30),
    since=st.integers(0, 35),
    live_from=st.integers(1, 31),
    live_count=st.integers(0, 6),
    limit=st.integers(1, 20),
)
def test_no_subscriber_ever_sees_a_hole_or_a_double(
    *, top: int, kept: int, since: int, live_from: int, live_count: int, limit: int
):
    kept_offsets = range(max(1, top - kept + 1), top + 1)
    stream = history(top, *[item for item in kept_offsets if item > since][: limit + 1])
    live = publications(*range(live_from, live_from + live_count))
    merged = merge(StreamPosition(since, "e"), stream, live, limit)
    if merged is None:
        assert live_count
        assert live_from > top + 1
        return
    start = since if merged.recovered else merged.top.offset
    seen = [item.offset for item in (*merged.publications, *merged.late)]
    assert seen == list(range(start + 1, start + 1 + len(seen)))
    assert merged.position.offset == start + len(seen)
    if merged.recovered:
        assert merged.position.offset >= top
        assert len(merged.publications) <= limit


@pytest.mark.parametrize(
    ("since", "kept", "top", "expected"),
    [
        (StreamPosition(3, "e"), [5], StreamPosition(5, "e"), [5]),
        (StreamPosition(0, ""), [5], StreamPosition(5, "e"), [5]),
        (StreamPosition(5, "e"), [5], StreamPosition(5, "e"), []),
        # The same offset of another epoch is another publication.
        (StreamPosition(5, "old"), [5], StreamPosition(5, "e"), [5]),
        # What the client has is known to be the newest, also when it is not kept any more.
        (StreamPosition(5, "e"), [], StreamPosition(5, "e"), []),
        (StreamPosition(3, "e"), [], StreamPosition(5, "e"), None),
        (StreamPosition(0, ""), [], StreamPosition(0, "e"), None),
        # Something newer was removed: this is not the newest.
        (StreamPosition(3, "e"), [4], StreamPosition(5, "e"), None),
    ],
)
def test_a_cache_gives_the_newest_publication_unless_the_client_has_it(
    since: StreamPosition, kept: list[int], top: StreamPosition, expected: list[int] | None
):
    found = latest(since, History(publications(*kept), top))
    assert offsets(found) == expected


def of_bytes(*sizes: int) -> list[Publication]:
    return [Publication(b"x" * size, number) for number, size in enumerate(sizes, 1)]


def test_what_one_command_recovers_is_bounded_in_bytes_and_never_cut_in_the_middle():
    def merged(*sizes: int) -> Merged:
        found = merge(StreamPosition(0, "e"), History(of_bytes(*sizes), top(sizes)), [], 10)
        assert found
        assert found.recovered
        return found

    def top(sizes: tuple[int, ...]) -> StreamPosition:
        return StreamPosition(len(sizes), "e")

    found = within(
        {"a": merged(50, 40), "none": None, "b": merged(11), "c": merged(10), "d": merged(1)}, 100
    )
    assert {name: item and item.recovered for name, item in found.items()} == {
        "a": True,
        "none": None,
        "b": False,
        "c": True,
        "d": False,
    }
    refused = found["b"]
    assert refused
    assert (refused.publications, refused.position) == ([], StreamPosition(1, "e"))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), 0), ((60, 40), 2), ((60, 41), 1), ((101, 1), 1), ((100, 1, 1), 1)],
)
def test_a_page_has_so_many_bytes_but_at_least_one_publication(
    sizes: tuple[int, ...], expected: int
):
    assert len(page(of_bytes(*sizes), 100)) == expected
