"""What `pinghub up` generates: once, private, and readable as settings."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core import config
from hub.embedded import generated
from hub.http.tokens import load_keys
from hub.providers.authority import days_left, open_authority
from hub.providers.keys import read_field_keys, read_index_key, read_sun_master_key

SUPERUSER_URL = "postgresql://postgres:p%40ss@127.0.0.1:15432/postgres"


def test_secrets_are_generated_once_and_readable_by_their_owner_only(tmp_path: Path):
    first = generated.secrets(tmp_path)
    assert generated.secrets(tmp_path) == first
    assert generated.secrets(_folder(tmp_path / "other")) != first
    for name in ("secrets.toml", "signing-keys.pem"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("section", ["realtime", "pki"])
def test_a_home_of_an_earlier_release_gets_what_is_new_and_keeps_the_rest(
    tmp_path: Path, section: str
):
    first = generated.secrets(tmp_path)
    key = first.pop(section)
    (tmp_path / "secrets.toml").write_text(generated.as_toml(first))
    second = generated.secrets(tmp_path)
    assert second.pop(section) != key
    assert second == first
    assert generated.secrets(tmp_path)[section] == generated.secrets(tmp_path)[section]
    assert (tmp_path / "secrets.toml").stat().st_mode & 0o077 == 0


def test_the_settings_file_is_private_and_its_keys_are_what_the_hub_expects(tmp_path: Path):
    secrets = generated.secrets(tmp_path)
    generated.write_settings(tmp_path, {"auth": secrets["auth"], "keys": secrets["keys"]})
    assert (tmp_path / "embedded.toml").stat().st_mode & 0o077 == 0
    settings = config.load({"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "no")})
    assert read_field_keys(settings).current == 1
    assert len(read_index_key(settings)) == 32
    assert len(read_sun_master_key(settings)) == 16
    assert load_keys(settings.auth)


def test_each_home_has_an_authority_of_its_own_that_the_hub_can_use(tmp_path: Path):
    secrets = generated.secrets(tmp_path)
    generated.write_settings(tmp_path, {"pki": secrets["pki"]})
    settings = config.load({"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "no")})
    opened = open_authority(settings.pki)
    assert opened is not None
    assert days_left(opened) > 7000
    other = generated.secrets(_folder(tmp_path / "other"))["pki"]
    assert other["ca_key"] != secrets["pki"]["ca_key"]


def test_each_role_has_its_own_login_on_the_superusers_server(tmp_path: Path):
    logins = generated.secrets(tmp_path)["logins"]
    urls = generated.database_urls(SUPERUSER_URL, logins)
    assert urls.pop("superuser_url") == SUPERUSER_URL
    parts = [urlsplit(url) for url in urls.values()]
    assert {part.username for part in parts} == set(logins)
    assert len({part.password for part in parts}) == len(parts)
    assert {(part.hostname, part.port, part.path) for part in parts} == {
        ("127.0.0.1", 15432, "/pinghub")
    }


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
