"""The public keys of the access tokens, for whoever verifies them elsewhere."""

from typing import Any, Final

from litestar import Request, Response, get

from hub.http.auth import UNLIMITED
from hub.http.deps import resources


@get(
    "/.well-known/jwks.json", opt=UNLIMITED, tags=["platform"], security=[{}], sync_to_thread=False
)
def public_keys(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Return the keys that verify access tokens (RFC 7517)."""
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(
        resources(request).token_keys.public_keys(),
        headers=headers,
        media_type="application/jwk-set+json",
    )


KEY_ROUTES: Final = [public_keys]
