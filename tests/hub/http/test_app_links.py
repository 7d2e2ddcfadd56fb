"""What Apple and Android read to let an app use the hub's passkeys."""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from core import config
from tests.fixtures.app import Running

FINGERPRINT = ":".join(["0F"] * 32)
PATHS = ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json")


async def test_apps_of_the_settings_are_named_as_each_system_asks(
    start_app: Callable[[config.Settings], Awaitable[Running]], app_settings: config.Settings
):
    passkeys = config.Passkeys(
        apple_apps=("ABCDE12345.com.example.app",),
        android_apps=(f"com.example.app/{FINGERPRINT}",),
    )
    hub = await start_app(replace(app_settings, passkeys=passkeys))
    async with hub.client() as client:
        apple, android = [await client.get(path) for path in PATHS]
    assert apple.headers["content-type"] == android.headers["content-type"] == "application/json"
    assert apple.json() == {"webcredentials": {"apps": ["ABCDE12345.com.example.app"]}}
    assert android.json() == [
        {
            "relation": ["delegate_permission/common.get_login_creds"],
            "target": {
                "namespace": "android_app",
                "package_name": "com.example.app",
                "sha256_cert_fingerprints": [FINGERPRINT],
            },
        }
    ]


async def test_without_apps_there_is_nothing_to_read(anonymous):
    for path in PATHS:
        answer = await anonymous.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")
