"""The public keys of the access tokens, for whoever verifies them elsewhere."""

from typing import Any, Final

import msgspec
from litestar import Request, Response, get

from hub.http.auth import UNLIMITED
from hub.http.deps import resources


class PublicKeys(msgspec.Struct, frozen=True):
    """The keys that verify access tokens (RFC 7517); there may be several, told apart by `kid`."""

    keys: list[dict[str, Any]]


@get(
    "/.well-known/jwks.json",
    opt=UNLIMITED,
    tags=["platform"],
    security=[{}],
    media_type="application/jwk-set+json",
    sync_to_thread=False,
)
def get_public_keys(request: Request[Any, Any, Any]) -> Response[PublicKeys]:
    """Return the keys that verify access tokens (RFC 7517)."""
    keys = msgspec.convert(resources(request).token_keys.public_keys(), PublicKeys)
    return Response(keys, headers={"Cache-Control": "public, max-age=300"})


KEY_ROUTES: Final = [get_public_keys]
