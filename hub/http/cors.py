"""What pages of other origins may do, where an operator allows any."""

from collections.abc import Sequence

from litestar.config.cors import CORSConfig


def cors_config(allowed_origins: Sequence[str]) -> CORSConfig | None:
    """Return the answers to preflight requests; None answers none of them."""
    if not allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
            "X-API-Key",
            "X-Request-Id",
        ],
        expose_headers=[
            "ETag",
            "Idempotent-Replayed",
            "Location",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "X-Request-Id",
        ],
    )
