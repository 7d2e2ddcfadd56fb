"""Namespaces: which options fit together, and what each allows to whom."""

from typing import Any

import pytest

from hub.realtime.namespaces import Namespace


@pytest.mark.parametrize(
    "options",
    [
        {"history_size": 1},
        {"history_ttl_seconds": 1},
        {"force_recovery": True},
        {"force_positioning": True},
        {"history_size": 1, "history_ttl_seconds": 9, "history_meta_ttl_seconds": 8},
        {"allowed_delta_types": ("xdelta",)},
        {"channel_regex": "("},
        {"auto_cache_recover": True, "force_recovery_mode": "cache"},
        {
            "auto_cache_recover": True,
            "force_recovery": True,
            "history_size": 1,
            "history_ttl_seconds": 1,
        },
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"history|need|delta|regex"):
        Namespace(**options)


def test_nothing_is_allowed_that_is_not_configured():
    shut = Namespace()
    for user in ("", "ann"):
        assert not shut.lets_subscribe(user)
        assert not shut.lets_publish(user, subscribed=True)
        assert not shut.lets_see_presence(user, subscribed=True)
        assert not shut.lets_read_history(user, subscribed=True)


def test_clients_subscribe_where_it_is_allowed_and_the_anonymous_where_they_are_too():
    assert Namespace(allow_subscribe_for_client=True).lets_subscribe("ann")
    assert not Namespace(allow_subscribe_for_client=True).lets_subscribe("")
    both = Namespace(allow_subscribe_for_client=True, allow_subscribe_for_anonymous=True)
    assert both.lets_subscribe("")
    assert not Namespace(allow_subscribe_for_anonymous=True).lets_subscribe("")


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("publish", Namespace.lets_publish),
        ("presence", Namespace.lets_see_presence),
        ("history", Namespace.lets_read_history),
    ],
)
def test_clients_subscribers_and_the_anonymous_are_told_apart(what: str, asked: Any):
    def namespace(*whom: str) -> Namespace:
        options: dict[str, Any] = {f"allow_{what}_for_{who}": True for who in whom}
        return Namespace(**options)

    assert asked(namespace("client"), "ann", subscribed=False)
    assert asked(namespace("subscriber"), "ann", subscribed=True)
    assert not asked(namespace("subscriber"), "ann", subscribed=False)
    assert not asked(namespace("client", "subscriber"), "", subscribed=True)
    assert asked(namespace("subscriber", "anonymous"), "", subscribed=True)
    assert not asked(namespace("subscriber", "anonymous"), "", subscribed=False)
    assert not asked(namespace("anonymous"), "", subscribed=True)
