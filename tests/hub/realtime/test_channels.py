"""What the parts of a channel's name mean, and whose the channel is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime import channels
from hub.realtime.channels import DEFAULT, Grammar
from hub.realtime.namespaces import Namespace

OPEN = Namespace(allow_user_limited_channels=True)
NAMESPACES = {"": Namespace(), "room": Namespace(), "taps": Namespace(personal=True), "chat": OPEN}


@pytest.mark.parametrize(
    ("channel", "namespace"),
    [
        ("room:a", "room"),
        ("room:a:b", "room"),
        ("$room:a", "room"),
        ("room", ""),
        ("$room", ""),
        ("a#ann", ""),
        (":a", ""),
        ("$:a", ""),
        ("rooms:a", None),
        ("$$room:a", None),
        (" room:a", None),
    ],
)
def test_the_part_before_the_boundary_names_the_namespace(channel: str, namespace: str | None):
    found = channels.resolve(channel, NAMESPACES, DEFAULT)
    assert found is (None if namespace is None else NAMESPACES[namespace])


def test_channels_without_a_namespace_are_unknown_where_nobody_configured_them():
    assert channels.resolve("news", {"room": Namespace()}, DEFAULT) is None


def test_without_a_boundary_all_channels_have_the_same_rules():
    grammar = Grammar(namespace_boundary="")
    assert channels.resolve("room:a", NAMESPACES, grammar) is NAMESPACES[""]


def test_another_boundary_may_be_longer_than_a_character():
    grammar = Grammar(namespace_boundary="::")
    assert channels.resolve("room::a:b", NAMESPACES, grammar) is NAMESPACES["room"]
    assert channels.resolve("room:a", NAMESPACES, grammar) is NAMESPACES[""]


@pytest.mark.parametrize(
    ("channel", "private"), [("$a", True), ("$room:a", True), ("a$", False), ("room:$a", False)]
)
def test_the_prefix_makes_a_channel_private(channel: str, private: bool):
    assert channels.is_private(channel, DEFAULT) == private
    assert not channels.is_private(channel, Grammar(private_prefix=""))


@pytest.mark.parametrize(
    ("channel", "users"),
    [
        ("chat:x#ann", {"ann"}),
        ("chat:x#ann,bob", {"ann", "bob"}),
        ("chat:x#bob#ann", {"ann"}),
        ("chat:x#", set[str]()),
        ("chat:x#ann, bob", {"ann", " bob"}),
        ("chat:x#annbob", set[str]()),
    ],
)
def test_what_follows_the_last_user_boundary_lists_the_users(channel: str, users: set[str]):
    assert channels.is_user_limited(channel, OPEN, DEFAULT)
    everybody = ("ann", "bob", "", "x", " bob")
    assert {user for user in everybody if channels.lists_user(channel, user, DEFAULT)} == users


def test_without_a_separator_a_channel_lists_one_user():
    grammar = Grammar(user_separator="")
    assert channels.lists_user("chat:x#ann,bob", "ann,bob", grammar)
    assert not channels.lists_user("chat:x#ann,bob", "ann", grammar)


def test_names_limit_users_only_where_the_namespace_says_so():
    assert not channels.is_user_limited("room:x#ann", NAMESPACES["room"], DEFAULT)
    assert not channels.is_user_limited("chat:x", OPEN, DEFAULT)
    assert not channels.is_user_limited("chat:x#ann", OPEN, Grammar(user_boundary=""))


def test_a_personal_channel_belongs_to_the_user_it_names_exactly():
    assert channels.belongs_to("taps:ann", "ann", DEFAULT)
    for channel in ("taps:ann2", "taps:ann:x", "taps:ANN", "taps:", "ann"):
        assert not channels.belongs_to(channel, "ann" if channel != "ann" else "bob", DEFAULT)
    assert not channels.belongs_to("taps:", "", DEFAULT)


def test_the_server_subscribes_users_to_their_channels():
    assert channels.personal_channels("ann", NAMESPACES, DEFAULT) == ["taps:ann"]
    own = Grammar(subscribe_to_user_personal_channel=True)
    assert channels.personal_channels("ann", NAMESPACES, own) == ["taps:ann", "#ann"]
    named = Grammar(subscribe_to_user_personal_channel=True, personal_channel_namespace="room")
    assert channels.personal_channels("ann", NAMESPACES, named) == ["taps:ann", "room:#ann"]
    assert channels.personal_channels("", NAMESPACES, named) == []


@pytest.mark.parametrize(
    ("channel", "valid"),
    [("room:a b", True), ("room:ä", False), ("room:a\n", False), ("room:\x7f", False)],
)
def test_names_are_printable_ascii(channel: str, valid: bool):
    assert channels.is_valid(channel, Namespace(), DEFAULT) == valid


def test_an_expression_decides_about_the_part_after_the_boundary():
    numbered = Namespace(channel_regex="^[0-9]+$")
    assert channels.is_valid("room:12", numbered, DEFAULT)
    assert not channels.is_valid("room:12a", numbered, DEFAULT)
    assert not channels.is_valid("room:١٢", Namespace(channel_regex=r"^\d+$"), DEFAULT)
    assert channels.is_valid("room:äb", Namespace(channel_regex="b"), DEFAULT)


@given(st.text(), st.text(min_size=1))
def test_nobody_owns_the_channel_of_another(user: str, other: str):
    (channel,) = channels.personal_channels(other, {"taps": Namespace(personal=True)}, DEFAULT)
    assert channels.belongs_to(channel, user, DEFAULT) == (user == other)
