"""Channel names and the rules of their namespaces."""

import pytest

from hub.realtime.namespaces import Namespace, belongs_to, find, personal_channels

NAMESPACES = {"taps": Namespace(personal=True), "room": Namespace()}


@pytest.mark.parametrize(
    ("channel", "found"),
    [("room:a", True), ("room:a:b", True), ("room", False), ("rooms:a", False), (":a", False)],
)
def test_the_part_before_the_colon_decides(channel: str, found: bool):
    assert (find(NAMESPACES, channel) is not None) == found


def test_a_personal_channel_belongs_to_the_user_it_names_exactly():
    assert belongs_to("taps:ann", "ann")
    assert not belongs_to("taps:ann2", "ann")
    assert not belongs_to("taps:ann:x", "ann")
    assert personal_channels(NAMESPACES, "ann") == ["taps:ann"]
    assert personal_channels(NAMESPACES, "") == []


@pytest.mark.parametrize(
    "options",
    [
        {"history_size": 1},
        {"history_ttl_seconds": 1},
        {"force_recovery": True},
        {"force_positioning": True},
    ],
)
def test_contradicting_options_are_refused(options: dict[str, int]):
    with pytest.raises(ValueError, match=r"history|need"):
        Namespace(**options)
