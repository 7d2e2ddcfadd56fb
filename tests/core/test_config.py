"""Settings: later sources win, mistakes are one line, secrets are not shown."""

from pathlib import Path

import msgspec
import pytest

from core import config, config_shown
from core.errors import ConfigError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "pinghub.toml")}


def test_without_anything_the_defaults_hold(environ: dict[str, str]) -> None:
    settings = config.load(environ)
    assert settings == config.Settings()
    assert (settings.server.port, settings.server.mode) == (8000, "production")


def test_later_sources_win(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "embedded.toml").write_text('[server]\nport = 1\nhost = "a"\n[log]\nlevel="DEBUG"')
    (tmp_path / "pinghub.toml").write_text('[server]\nport = 2\npublic_url = "http://b"')
    settings = config.load({**environ, "PINGHUB_SERVER__PORT": "3"})
    assert settings.server.port == 3
    assert (settings.server.host, settings.server.public_url) == ("a", "http://b")
    assert settings.log.level == "DEBUG"


@pytest.mark.parametrize(("alias", "target"), config.ALIASES.items())
def test_the_platforms_names_are_understood_and_the_own_name_wins(
    environ: dict[str, str], alias: str, target: tuple[str, str]
) -> None:
    section, key = target
    scheme = {"database": "postgresql"}.get(section, section)
    settings = config.load({**environ, alias: f"{scheme}://one"})
    assert getattr(getattr(settings, section), key) == f"{scheme}://one"
    own = f"PINGHUB_{section.upper()}__{key.upper()}"
    settings = config.load({**environ, alias: f"{scheme}://one", own: f"{scheme}://two"})
    assert getattr(getattr(settings, section), key) == f"{scheme}://two"


def test_a_list_in_the_environment_is_separated_by_commas(environ: dict[str, str]) -> None:
    settings = config.load({**environ, "PINGHUB_SERVER__ALLOWED_ORIGINS": "https://a,https://b,"})
    assert settings.server.allowed_origins == ("https://a", "https://b")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PINGHUB_SERVER__PORT", "70000", "server.port"),
        ("PINGHUB_SERVER__PORT", "many", "server.port"),
        ("PINGHUB_SERVER__MODE", "staging", "server.mode"),
        ("PINGHUB_AUTH__ACCESS_TOKEN_SECONDS", "601", "auth.access_token_seconds"),
        ("PINGHUB_SERVER__PROT", "1", "prot"),
        ("PINGHUB_SERVR__PORT", "1", "servr"),
        ("PINGHUB_PORT", "1", "PINGHUB_PORT"),
        ("PINGHUB_SERVER__PUBLIC_URL", "hub.example", "server.public_url"),
        ("PINGHUB_GATEWAY__MQTT_URL", "broker:1883", "gateway.mqtt_url"),
        ("DATABASE_OWNER_URL", "mysql://a:secret@b/c", "database.owner_url"),
        ("DATABASE_URL", "a:secret@b", "database.url"),
        ("REDIS_URL", "localhost:6379", "redis.url"),
        ("MQTT_URL", "tcp://a:secret@b", "mqtt.url"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    environ: dict[str, str], name: str, value: str, complaint: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        config.load({**environ, name: value})
    assert complaint in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["port = ", "server = 3", '[server]\nport = "x"', "\x00"])
def test_a_broken_file_is_one_line(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "pinghub.toml").write_text(text)
    with pytest.raises(ConfigError) as refusal:
        config.load(environ)
    assert "\n" not in str(refusal.value)


def test_what_is_missing_is_named_with_its_variables() -> None:
    assert config.require("x", "database.url") == "x"
    with pytest.raises(ConfigError, match=r"PINGHUB_DATABASE__URL or DATABASE_URL"):
        config.require("", "database.url")


@pytest.mark.req("SEC-08")
def test_no_secret_is_shown() -> None:
    canary = "c4n4ry"
    sections = {
        section.name: {
            item.name: f"postgresql://user:{canary}@host:5432/name?password={canary}"
            if item.name.endswith("url")
            else canary
            for item in msgspec.structs.fields(getattr(config.Settings(), section.name))
            if config_shown._is_secret(item.type)
        }
        for section in msgspec.structs.fields(config.Settings)
    }
    assert sum(len(values) for values in sections.values()) >= 10
    settings = msgspec.convert(sections, config.Settings)
    assert canary in str(settings)
    shown = config_shown.shown(settings)
    assert canary not in str(shown)
    assert shown["database"]["url"] == "postgresql://user:[redacted]@host:5432/name"
    assert shown["keys"]["index_key"] == "[redacted]"


def test_home_is_an_absolute_folder() -> None:
    assert config.home({}).is_absolute()
    assert config.home({}).name == ".pinghub"
    assert config.home({"PINGHUB_HOME": "/x"}) == Path("/x")


PROVIDERS = '{"idp": {"issuer": "https://id.example", "client_id": "a", "client_secret": "hidden"}}'


def test_providers_are_tables_in_the_file_and_json_in_the_environment(
    environ: dict[str, str], tmp_path: Path
) -> None:
    by_environment = config.load({**environ, "PINGHUB_AUTH__PROVIDERS": PROVIDERS})
    (tmp_path / "pinghub.toml").write_text(
        '[auth.providers.idp]\nissuer = "https://id.example"\nclient_id = "a"\n'
        'client_secret = "hidden"\n'
    )
    assert config.load(environ) == by_environment
    assert by_environment.auth.providers["idp"].client_secret == "hidden"


@pytest.mark.parametrize("text", ["{", "[]", '{"idp": {"client": "hidden"}}', '{"idp": 7}'])
def test_providers_that_are_none_are_one_line(environ: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        config.load({**environ, "PINGHUB_AUTH__PROVIDERS": text})
    assert "hidden" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_secrets_of_providers_are_not_shown(environ: dict[str, str]) -> None:
    settings = config.load({**environ, "PINGHUB_AUTH__PROVIDERS": PROVIDERS})
    shown = config_shown.shown(settings)["auth"]["providers"]["idp"]
    assert (shown["client_id"], shown["client_secret"]) == ("a", "[redacted]")


def test_limits_are_tables_in_the_file_and_json_in_the_environment(
    environ: dict[str, str], tmp_path: Path
) -> None:
    policies = '{"search": {"quota": 7, "without_redis": "closed"}}'
    by_environment = config.load({**environ, "PINGHUB_LIMITS__POLICIES": policies})
    (tmp_path / "pinghub.toml").write_text(
        '[limits.policies.search]\nquota = 7\nwithout_redis = "closed"\n'
    )
    assert config.load(environ) == by_environment
    assert config_shown.shown(by_environment)["limits"]["policies"]["search"]["quota"] == 7
    for wrong in ('{"ai": {"quota": 0}}', '{"ai": {"rate": 7}}', '{"ai": {"without_redis": "?"}}'):
        with pytest.raises(ConfigError, match="limits"):
            config.load({**environ, "PINGHUB_LIMITS__POLICIES": wrong})
