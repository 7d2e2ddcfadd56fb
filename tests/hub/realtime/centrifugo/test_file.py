"""Reading a Centrifugo configuration: what it means here, what is ignored, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from hub.realtime.centrifugo import file as config_file
from hub.realtime.centrifugo.file import Loaded
from hub.realtime.centrifugo.options import UNSUPPORTED, Duration
from hub.realtime.channels import Grammar
from hub.realtime.namespaces import Namespace
from tests.hub.realtime.jwt_maker import EC, RSA, SECRET, pem, signed


@pytest.fixture
def load(tmp_path: Path):
    def load(content: Any, name: str = "config.json") -> Loaded:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return config_file.load(str(path))

    return load


def test_an_empty_file_has_the_originals_defaults(load: Any):
    loaded = load({})
    settings = loaded.settings
    assert (settings.ping_interval_seconds, settings.pong_timeout_seconds) == (25, 8)
    assert (settings.stale_close_seconds, settings.expired_close_delay_seconds) == (10, 25)
    assert (settings.max_channels_per_client, settings.buffer_max_bytes) == (128, 1_048_576)
    assert loaded.grammar == Grammar()
    # A month instead of the broker's own choice.
    assert loaded.namespaces == {"": Namespace(history_meta_ttl_seconds=720 * 3600)}
    assert loaded.file.http_server.port == 8000
    assert not loaded.file.sse.enabled
    assert not loaded.file.http_stream.enabled
    assert loaded.warnings == []
    assert config_file.redis_settings(loaded.file) is None


def test_namespaces_have_all_options(load: Any):
    options = {
        "presence": True,
        "history_size": 10,
        "history_ttl": "5m",
        "force_recovery": True,
        "force_recovery_mode": "cache",
        "auto_cache_recover": True,
        "allowed_delta_types": ["fossil"],
        "allow_subscribe_for_client": True,
        "channel_regex": "^[a-z]+$",
        "publication_data_format": "json_object",
    }
    loaded = load(
        {
            "channel": {
                "without_namespace": {"allow_publish_for_subscriber": True},
                "namespaces": [{"name": "chat", **options}, {"name": "news", "join_leave": True}],
                "history_meta_ttl": "24h",
                "publication_data_format": "json",
            }
        }
    )
    assert loaded.namespaces["chat"] == Namespace(
        presence=True,
        history_size=10,
        history_ttl_seconds=300,
        history_meta_ttl_seconds=86_400,
        force_recovery=True,
        force_recovery_mode="cache",
        auto_cache_recover=True,
        allowed_delta_types=("fossil",),
        allow_subscribe_for_client=True,
        channel_regex="^[a-z]+$",
        publication_data_format="json_object",
    )
    assert loaded.namespaces["news"].join_leave
    assert loaded.namespaces["news"].publication_data_format == "json"
    assert loaded.namespaces[""].allow_publish_for_subscriber


def test_the_option_of_a_namespace_struct_is_an_option_of_the_file():
    own = {"personal", "ask", "signed_in", "history_ttl_seconds", "history_meta_ttl_seconds"}
    read = {item.name for item in config_file.fields(config_file.options.Channels)}
    assert {item.name for item in config_file.fields(Namespace)} - own <= read


def test_limits_and_clocks_are_taken_over(load: Any):
    settings = load(
        {
            "client": {
                "ping_interval": "1m30s",
                "pong_timeout": "300ms",
                "channel_limit": "5",
                "queue_max_size": 1000,
                "recovery_max_publication_limit": 7,
                "expired_sub_close_delay": "4s",
                "connection_limit": 50,
                "user_connection_limit": 2,
            },
            "channel": {"max_length": 20},
            "websocket": {"message_size_limit": 100, "compression": True},
            "http_api": {"key": "k"},
        }
    ).settings
    assert (settings.ping_interval_seconds, settings.pong_timeout_seconds) == (90, 0.3)
    assert (settings.max_channels_per_client, settings.buffer_max_bytes) == (5, 1000)
    assert (settings.recovery_max_publications, settings.max_channel_length) == (7, 20)
    assert (settings.max_message_bytes, settings.websocket_deflate) == (100, True)
    assert settings.expired_subscription_close_delay_seconds == 4
    assert (settings.max_connections, settings.max_connections_per_user) == (50, 2)
    assert settings.api_keys == "k"


def test_each_user_may_have_a_channel(load: Any):
    personal = {"enabled": True, "personal_channel_namespace": "user"}
    loaded = load(
        {
            "client": {"subscribe_to_user_personal_channel": personal},
            "channel": {"namespaces": [{"name": "user"}], "private_prefix": "!"},
        }
    )
    assert loaded.grammar == Grammar(
        private_prefix="!",
        subscribe_to_user_personal_channel=True,
        personal_channel_namespace="user",
    )


PROXIED = {
    "subscribe_proxy_enabled": (False, True),
    "publish_proxy_enabled": (True, False),
    "subscribe_stream_proxy_enabled": (False, False),
}


@pytest.mark.parametrize(("option", "lets"), PROXIED.items())
def test_what_a_proxy_would_decide_is_refused(load: Any, option: str, lets: tuple[bool, bool]):
    opened = {"allow_subscribe_for_client": True, "allow_publish_for_client": True, option: True}
    loaded = load({"channel": {"without_namespace": opened}})
    namespace: Namespace = loaded.namespaces[""]
    assert namespace.lets_subscribe("ann") == lets[0]
    assert namespace.lets_publish("ann", subscribed=True) == lets[1]
    (warning,) = loaded.warnings
    assert warning.startswith(f"channel.without_namespace.{option} is ignored: ")


def test_channels_of_other_kinds_are_unknown(load: Any):
    maps = {"name": "maps", "subscription_type": "map", "map": {"mode": "ephemeral"}}
    loaded = load(
        {"channel": {"namespaces": [maps, {"name": "st", "subscription_type": "stream"}]}}
    )
    assert set(loaded.namespaces) == {"", "st"}
    assert [item.partition(" ")[0] for item in loaded.warnings] == [
        "channel.namespaces[0].subscription_type",
        "channel.namespaces[0].map",
    ]


def test_each_option_that_is_ignored_is_named_once(load: Any):
    loaded = load(
        {
            "nonsense": {"a": 1, "b": 2},
            "admin": {"enabled": True, "password": "pass", "secret": "secret"},
            "uni_sse": {"enabled": False},
            "usage_stats": {"disabled": True},
            "client": {"tokens": {}, "concurrency": 8, "proxy": {"connect": {"enabled": True}}},
            "engine": {"redis": {"connect_timeout": "1s"}},
            "channel": {"namespaces": [{"name": "chat", "history_lifetime": 1}]},
        }
    )
    assert loaded.warnings == [
        "nonsense is ignored: no such option",
        f"admin is ignored: {UNSUPPORTED['admin']}",
        "client.tokens is ignored: no such option",
        f"client.concurrency is ignored: {UNSUPPORTED['client.concurrency']}",
        f"client.proxy is ignored: {UNSUPPORTED['client.proxy']}",
        f"engine.redis.connect_timeout is ignored: {UNSUPPORTED['engine.redis.connect_timeout']}",
        "channel.namespaces[0].history_lifetime is ignored: no such option",
    ]


def test_a_file_of_an_older_version_is_recognised(load: Any):
    old = {"token_hmac_secret_key": "k" * 32, "namespaces": [{"name": "chat"}], "presence": True}
    *each, hint = load(old).warnings
    assert [item.partition(" ")[0] for item in each] == list(old)
    assert "version 5" in hint
    assert len(load({"presence": True}).warnings) == 1


def test_weak_secrets_are_named_and_not_shown(load: Any):
    (warning,) = load({"client": {"token": {"hmac_secret_key": "hunter2"}}}).warnings
    assert warning.startswith("client.token.hmac_secret_key is weak")
    assert "hunter2" not in warning


REFUSED: list[tuple[Any, str]] = [
    ({"client": {"insecure": "perhaps"}}, "client.insecure"),
    ({"client": {"insecure": []}}, "client.insecure"),
    ({"client": []}, "client"),
    ({"client": {"ping_interval": "soon"}}, "client.ping_interval"),
    ({"client": {"ping_interval": "25"}}, "client.ping_interval"),
    ({"client": {"ping_interval": "-25s"}}, "client.ping_interval"),
    ({"client": {"ping_interval": "0s"}}, "client.ping_interval"),
    ({"client": {"ping_interval": True}}, "client.ping_interval"),
    ({"client": {"channel_limit": -1}}, "client.channel_limit"),
    ({"client": {"channel_limit": 1.5}}, "client.channel_limit"),
    ({"client": {"token": {"hmac_secret_key": 5}}}, "client.token.hmac_secret_key"),
    (
        {
            "client": {
                "subscribe_to_user_personal_channel": {
                    "enabled": True,
                    "personal_channel_namespace": "nope",
                }
            }
        },
        "client.subscribe_to_user_personal_channel.personal_channel_namespace",
    ),
    ({"channel": {"namespaces": [{"name": "a"}]}}, "channel.namespaces[0].name"),
    ({"channel": {"namespaces": [{"name": "a:b"}]}}, "channel.namespaces[0].name"),
    ({"channel": {"namespaces": [{}]}}, "channel.namespaces[0]"),
    ({"channel": {"namespaces": [{"name": "aa"}, {"name": "aa"}]}}, "channel.namespaces[1].name"),
    ({"channel": {"namespaces": {"name": "aa"}}}, "channel.namespaces"),
    ({"channel": {"without_namespace": {"history_size": 5}}}, "channel.without_namespace"),
    (
        {"channel": {"without_namespace": {"history_size": 5, "history_ttl": "1500ms"}}},
        "channel.without_namespace",
    ),
    (
        {
            "channel": {
                "history_meta_ttl": "1m",
                "without_namespace": {"history_size": 5, "history_ttl": "5m"},
            }
        },
        "channel.without_namespace",
    ),
    ({"channel": {"without_namespace": {"force_recovery": True}}}, "channel.without_namespace"),
    (
        {"channel": {"without_namespace": {"force_recovery_mode": "map"}}},
        "channel.without_namespace.force_recovery_mode",
    ),
    (
        {"channel": {"without_namespace": {"allowed_delta_types": ["x"]}}},
        "channel.without_namespace.allowed_delta_types[0]",
    ),
    ({"channel": {"without_namespace": {"channel_regex": "("}}}, "channel.without_namespace"),
    ({"engine": {"type": "tarantool"}}, "engine.type"),
    ({"broker": {"enabled": True, "type": "nats"}}, "broker.type"),
    ({"http_server": {"port": 99999}}, "http_server.port"),
    ({"http_server": {"tls": {"enabled": True}}}, "http_server.tls.enabled"),
    ({"http_server": {"internal_port": "9000"}}, "http_server.internal_port"),
    ({"log": {"level": "loud"}}, "log.level"),
    ({"sse": {"handler_prefix": "sse"}}, "handler_prefix"),
    ({"sse": {"handler_prefix": "/api"}}, "handler_prefix"),
]


@pytest.mark.parametrize(("content", "path"), REFUSED)
def test_wrong_values_are_refused_with_their_path(load: Any, content: Any, path: str):
    with pytest.raises(ConfigError) as refusal:
        load(content)
    assert path in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("{", "config.json"),
        ("[]", "config.json"),
        ("[" * 100_000, "config.json"),
        ("a = ", "config.toml"),
        ("a: [", "config.yaml"),
        ("{}", "config.ini"),
    ],
)
def test_what_is_no_configuration_is_refused(load: Any, content: str, name: str):
    with pytest.raises(ConfigError, match="config"):
        load(content, name)


def test_a_file_that_is_missing_is_refused():
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot be read"):
        config_file.load("nowhere.json")


def test_the_other_notations_say_the_same(load: Any):
    expected = load({"client": {"channel_limit": 3, "ping_interval": "9s"}}).settings
    toml = '[client]\nchannel_limit = 3\nping_interval = "9s"\n'
    yaml = "client:\n  channel_limit: 3\n  ping_interval: 9s\n  pong_timeout: null\n"
    assert load(toml, "config.toml").settings == expected
    assert load(yaml, "config.yml").settings == expected


@pytest.mark.parametrize(
    ("redis", "url"),
    [
        ({}, "redis://127.0.0.1:6379"),
        ({"address": "localhost:6380"}, "redis://localhost:6380"),
        ({"address": ["tcp://r:1"]}, "redis://r:1"),
        ({"address": "r:1", "user": "u", "password": "p@ss", "db": 2}, "redis://u:p%40ss@r:1/2"),
        ({"address": "r:1", "tls": {"enabled": True}}, "rediss://r:1"),
        ({"address": "redis://:p@r:1/3", "password": "x", "db": 2}, "redis://:p@r:1/3"),
        ({"address": "unix:///run/redis.sock"}, "unix:///run/redis.sock"),
    ],
)
def test_redis_is_found_where_the_file_says(load: Any, redis: Any, url: str):
    for content in (
        {"engine": {"type": "redis", "redis": redis}},
        {"broker": {"enabled": True, "type": "redis", "redis": redis}},
    ):
        settings = config_file.redis_settings(load(content).file)
        assert settings is not None
        assert (settings.url, settings.key_prefix) == (url, "centrifugo")
        assert settings.call_deadline_seconds == 4


@pytest.mark.parametrize(
    "redis",
    [
        {"cluster_address": ["a:1"]},
        {"sentinel_address": "a:1"},
        {"address": ["a:1", "b:1"]},
        {"address": "a:1,b:1"},
        {"address": []},
        {"address": "redis+sentinel://a:1"},
    ],
)
def test_several_redis_are_refused(load: Any, redis: Any):
    loaded = load({"engine": {"type": "redis", "redis": redis}})
    with pytest.raises(ConfigError, match=r"engine\.redis"):
        config_file.redis_settings(loaded.file)


@pytest.mark.req("RTM-05")
async def test_the_keys_of_the_file_verify_tokens(load: Any):
    token = {
        "hmac_secret_key": SECRET,
        "rsa_public_key": pem(RSA),
        "ecdsa_public_key": pem(EC),
        "audience": "chat",
    }
    other = {"enabled": True, "hmac_secret_key": "another secret of thirty-two bytes"}
    file = load({"client": {"token": token, "subscription_token": other}}).file
    connection, subscription = config_file.token_verifiers(file)
    claims = {"sub": "ann", "aud": "chat"}
    for key, algorithm in ((None, "HS256"), (RSA, "RS256"), (EC, "ES256")):
        assert (await connection.connect(signed(claims, key, algorithm))).user == "ann"
    assert subscription is not connection
    one, both = config_file.token_verifiers(load({}).file)
    assert one is both


@pytest.mark.parametrize(
    "token",
    [
        {"rsa_public_key": "-----BEGIN"},
        {"ecdsa_public_key": pem(RSA)},
        {"jwks_public_endpoint": "keys.json"},
        {"jwks_public_endpoint": "http://keys.example/keys"},
        {"jwks_public_endpoint": "https://{{tenant}}.example/keys"},
        {"audience": "a", "audience_regex": "a"},
        {"issuer_regex": "("},
    ],
)
def test_keys_that_cannot_be_used_are_refused(load: Any, token: dict[str, str]):
    file = load({"client": {"token": token}}).file
    with pytest.raises(ConfigError, match=r"client\.token"):
        config_file.token_verifiers(file)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25s", 25),
        ("1h30m", 5400),
        ("300ms", 0.3),
        ("1.5s", 1.5),
        ("0", 0),
        (".5m", 30),
        ("+1s", 1),
    ],
)
def test_durations_are_written_as_in_go(text: str, seconds: float):
    assert Duration(text).seconds == pytest.approx(seconds)


@given(st.text(max_size=12))
def test_no_text_breaks_a_duration(text: str):
    try:
        duration = Duration(text)
    except ValueError:
        return
    assert duration.seconds >= 0
