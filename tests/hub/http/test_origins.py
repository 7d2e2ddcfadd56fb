"""Which origins the hub takes for its own, and what its passkeys belong to."""

from typing import Any

import pytest
from msgspec.structs import replace

from core import config
from core.errors import ConfigError
from hub.http.origins import relying_party

FINGERPRINT = ":".join(["AB"] * 32)
ANDROID = "android:apk-key-hash:" + "q6ur" * 10 + "q6s"


def settings(server: dict[str, Any] | None = None, **passkeys: Any) -> config.Settings:
    return config.Settings(
        server=config.Server(**(server or {})), passkeys=config.Passkeys(**passkeys)
    )


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({}, ("localhost", ["http://localhost:8000"])),
        ({"public_url": "http://[::1]:7000"}, ("localhost", ["http://localhost:7000"])),
        ({"public_url": "http://127.0.0.1"}, ("localhost", ["http://localhost"])),
        (
            {"public_url": "http://127.0.0.1:9", "port": 9, "mode": "development"},
            ("localhost", ["http://localhost:9"]),
        ),
        ({"public_url": "https://hub.example/"}, ("hub.example", ["https://hub.example"])),
        # A page over http could be anybody's.
        ({"public_url": "http://hub.example"}, ("hub.example", [])),
        (
            {
                "public_url": "https://hub.example",
                "allowed_origins": (
                    "https://app.hub.example",
                    "https://hub.example.evil.example",
                    "https://evilhub.example",
                    "http://app.hub.example",
                    "http://localhost:3000",
                ),
            },
            ("hub.example", ["https://hub.example", "https://app.hub.example"]),
        ),
    ],
)
def test_the_hub_s_own_pages_have_passkeys_where_browsers_allow_it(
    server: dict[str, Any], expected: tuple[str, list[str]]
):
    party = relying_party(settings(server))
    assert party is not None
    assert (party.id, list(party.origins)) == expected


def test_an_address_has_no_passkeys():
    assert relying_party(settings({"public_url": "http://192.0.2.7:8000"})) is None
    assert relying_party(settings({"public_url": "http://[2001:db8::1]:8000"})) is None


def test_a_domain_above_the_hub_s_may_be_named_with_its_pages_and_apps():
    party = relying_party(
        settings(
            {"public_url": "https://hub.example.com"},
            rp_id="example.com",
            origins=("https://www.example.com:8443",),
            apple_apps=("ABCDE12345.com.example.app",),
            android_apps=(f"com.example.app/{FINGERPRINT}",),
        )
    )
    assert party is not None
    assert party.id == "example.com"
    assert set(party.origins) == {
        "https://hub.example.com",
        "https://www.example.com:8443",
        "https://example.com",
        ANDROID,
    }


def test_strangers_may_sign_up_where_no_provider_is_configured_or_where_they_may():
    provider = config.LoginProvider(kind="google", client_id="pinghub")
    for providers, given, expected in (
        ({}, None, True),
        ({}, False, False),
        ({"google": provider}, None, False),
        ({"google": provider}, True, True),
    ):
        asked = replace(settings(sign_up=given), auth=config.Auth(providers=providers))
        party = relying_party(asked)
        assert party is not None
        assert party.takes_sign_ups is expected


@pytest.mark.parametrize(
    "passkeys",
    [
        {"rp_id": "https://example.com"},
        {"rp_id": "Example.com"},
        {"rp_id": "example.com:443"},
        {"rp_id": "192.0.2.7"},
        {"rp_id": "-example.com"},
        {"rp_id": "example.com\n"},
        {"rp_id": "example.com", "origins": ("https://evil.example",)},
        {"rp_id": "example.com", "origins": ("http://example.com",)},
        {"rp_id": "example.com", "origins": ("https://example.com/",)},
        {"rp_id": "example.com", "origins": ("https://a@example.com",)},
        {"rp_id": "example.com", "origins": ("example.com",)},
        {"apple_apps": ("com.example.app",)},
        {"android_apps": ("com.example.app",)},
        {"android_apps": (f"com.example.app/{FINGERPRINT.lower()}",)},
    ],
    ids=str,
)
def test_what_could_never_work_is_said_at_the_start(passkeys: dict[str, Any]):
    with pytest.raises(ConfigError, match="passkeys"):
        relying_party(settings(**passkeys))
