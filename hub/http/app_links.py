"""Which apps may use the passkeys of this hub's domain, as Apple and Android ask for it.

Both ask the domain itself (`passkeys.rp_id`): where that is another host, these two go there.
"""

from typing import Annotated, Any, Final

from litestar import Request, get
from msgspec import Meta, Struct

from core.errors import DomainError
from hub.http.auth import UNLIMITED
from hub.http.deps import resources
from hub.http.origins import android_apps
from hub.http.problems import documented

_ABSENT: Final = "No app is named in [passkeys]."


class AppleApps(Struct, frozen=True):
    """Apps by `<team id>.<bundle id>`."""

    apps: tuple[str, ...]


class AppleLinks(Struct, frozen=True):
    """What Apple's devices read (Associated Domains, `webcredentials`)."""

    webcredentials: AppleApps


class AndroidTarget(Struct, frozen=True):
    """One app by its package and signing certificate."""

    package_name: str
    sha256_cert_fingerprints: Annotated[list[str], Meta(min_length=1)]
    namespace: str = "android_app"


class AndroidLink(Struct, frozen=True):
    """What Android reads (Digital Asset Links)."""

    target: AndroidTarget
    relation: tuple[str, ...] = ("delegate_permission/common.get_login_creds",)


@get(
    "/.well-known/apple-app-site-association",
    opt=UNLIMITED,
    tags=["platform"],
    security=[{}],
    sync_to_thread=False,
    responses=documented("request.not_found"),
)
def get_apple_app_links(request: Request[Any, Any, Any]) -> AppleLinks:
    """Name the apps of `passkeys.apple_apps`."""
    apps = resources(request).settings.passkeys.apple_apps
    if not apps:
        raise DomainError("request.not_found", _ABSENT)
    return AppleLinks(AppleApps(apps))


@get(
    "/.well-known/assetlinks.json",
    opt=UNLIMITED,
    tags=["platform"],
    security=[{}],
    sync_to_thread=False,
    responses=documented("request.not_found"),
)
def get_android_app_links(request: Request[Any, Any, Any]) -> list[AndroidLink]:
    """Name the apps of `passkeys.android_apps`."""
    apps = android_apps(resources(request).settings.passkeys)
    if not apps:
        raise DomainError("request.not_found", _ABSENT)
    return [AndroidLink(AndroidTarget(app.package, [app.fingerprint])) for app in apps]


APP_LINK_ROUTES: Final = [get_apple_app_links, get_android_app_links]
