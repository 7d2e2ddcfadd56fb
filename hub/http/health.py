"""Probes: alive, ready, figures."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, Literal

from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct
from redis.exceptions import RedisError

from core import metrics
from core.errors import DomainError
from hub.http.auth import UNLIMITED
from hub.http.deps import resources

# The framework adds the charset.
_METRICS_MEDIA_TYPE: Final = metrics.CONTENT_TYPE.partition("; charset")[0]
_DEADLINE_SECONDS: Final = 1.5
State = Literal["ok", "away", "draining"]


class Alive(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True):
    """Whether requests can be served now, and which part is missing if not."""

    status: Literal["ready", "unready"]
    checks: dict[str, State]


@get("/livez", opt=UNLIMITED, sync_to_thread=False, tags=["platform"], security=[{}])
def is_alive() -> Alive:
    """Say that the process runs; restart it when this fails."""
    return Alive()


@get(
    "/readyz",
    opt=UNLIMITED,
    tags=["platform"],
    security=[{}],
    responses={503: ResponseSpec(Ready, description="Something that requests need is away.")},
)
async def is_ready(request: Request[Any, Any, Any]) -> Response[Ready]:
    """Say whether traffic may be sent here: 200, else 503 with what is away."""
    house = resources(request)
    postgres, redis = await asyncio.gather(
        _is_there(house.readiness.ping()),
        _is_there(house.redis.ping()),
    )
    checks: dict[str, State] = {"postgres": postgres, "redis": redis}
    if house.is_draining:
        checks["server"] = "draining"
    ready = all(state == "ok" for state in checks.values())
    body = Ready("ready" if ready else "unready", checks)
    headers = {} if ready else {"Retry-After": "1"}
    return Response(body, status_code=200 if ready else 503, headers=headers)


@get("/metrics", opt=UNLIMITED, sync_to_thread=False, include_in_schema=False)
def metrics_page() -> Response[bytes]:
    """Return the figures of this process for Prometheus."""
    return Response(metrics.render(), media_type=_METRICS_MEDIA_TYPE)


async def _is_there(probe: Awaitable[object]) -> State:
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await probe
    except (DomainError, RedisError, OSError, TimeoutError):
        return "away"
    return "ok"


HEALTH_ROUTES: Final = [is_alive, is_ready, metrics_page]
